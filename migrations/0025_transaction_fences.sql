-- What must be true of locks when a transaction that is staged over several requests is committed.
alter table transactions add column fences json;
comment on column transactions.fences is 'As they were given; null where there are none.';
