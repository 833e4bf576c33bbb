-- What a transaction has done to the state, beside its tables.
alter table transactions add column state_results json;
comment on column transactions.state_results is 'What became of each proposal to the state, as it was answered; null where there was none.';
