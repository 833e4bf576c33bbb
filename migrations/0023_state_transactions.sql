-- What is staged for the state, to be done with what is staged for tables.
create table transaction_state (
  transaction_id uuid not null,
  namespace text collate "C" not null,
  key text collate "C" not null,
  place bigint generated always as identity,
  operation text not null,
  constraint transaction_state_pkey primary key (transaction_id, namespace, key)
);

comment on table transaction_state is 'Operations that are staged for entries of the state, one for each key.';
comment on column transaction_state.place is 'Rises in the order in which operations were staged.';
comment on column transaction_state.operation is 'As JSON, token for token.';
