-- Transactions over several tables. The row of one is written by the PostgreSQL transaction that commits its tables.
create table transactions (
  id uuid not null,
  state text not null,
  isolation_level text not null,
  priority smallint not null,
  label text,
  created_at timestamptz not null,
  ended_at timestamptz,
  tables json,
  constraint transactions_pkey primary key (id),
  constraint transactions_state_check check (
    state in ('active', 'committing', 'committed', 'rolling-back', 'rolled-back', 'expired'))
);

comment on column transactions.tables is 'What became of each table, as it was answered.';

create index transactions_created_idx on transactions (created_at, id);
create index transactions_state_idx on transactions (state, created_at, id);

alter table commits add column transaction_id uuid;
comment on column commits.transaction_id is 'The transaction over several tables that the commit was part of.';
