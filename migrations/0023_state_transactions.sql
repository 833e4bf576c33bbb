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

-- Interactive transactions on the state. What they have written so far is in the memory of their server; here stands which
-- server that is, and how those ended that are over. One that has committed writes has its row in transactions, too.
create table state_transactions (
  id uuid not null,
  server_id uuid not null,
  server text not null,
  isolation_level text not null,
  label text,
  idle_timeout_ms bigint not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  ended_at timestamptz,
  outcome text,
  constraint state_transactions_pkey primary key (id),
  constraint state_transactions_outcome_check check (outcome in ('committed', 'rolled-back', 'expired'))
);

comment on column state_transactions.server_id is 'Of the process, which is another after each start.';
comment on column state_transactions.server is 'Address of the server, for clients.';
comment on column state_transactions.expires_at is 'When it ends at the latest, whatever its server does.';

create index state_transactions_expires_idx on state_transactions (expires_at);
