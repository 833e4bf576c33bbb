-- Transactions that are staged over several requests. What is staged is logged, so it survives crashes and can be gone
-- on with at any server.
alter table transactions
  add column is_staged boolean not null default false,
  add column expires_at timestamptz,
  add column claim uuid,
  add column claimed_until timestamptz,
  add column view pg_snapshot;

comment on column transactions.is_staged is 'Whether anything may be staged for it, or left of that.';
comment on column transactions.claim is 'While committing: the attempt that has it.';
comment on column transactions.claimed_until is 'Until when that attempt is taken to live; it renews the time.';
comment on column transactions.view is 'What all its reads see, once there was one.';

create index transactions_expires_idx on transactions (expires_at) where state = 'active';
create index transactions_leaving_idx on transactions (id) where state in ('committing', 'rolling-back');
create index transactions_leftover_idx on transactions (ended_at) where is_staged and ended_at is not null;

create table transaction_tables (
  transaction_id uuid not null,
  table_id uuid not null,
  place bigint generated always as identity,
  fields json,
  num_actions bigint not null default 0,
  read_version bigint,
  reads json,
  constraint transaction_tables_pkey primary key (transaction_id, table_id)
);

comment on column transaction_tables.place is 'Rises in the order in which tables were first named.';
comment on column transaction_tables.fields is 'What is proposed besides actions, token for token; null where the table was only read.';
comment on column transaction_tables.read_version is 'The version that was read through the transaction.';
comment on column transaction_tables.reads is 'What of it was read.';

-- The actions of one request. They come to a transaction all at once, when the request is whole.
create table transaction_chunks (
  id uuid not null,
  transaction_id uuid not null,
  table_id uuid not null,
  first_index bigint,
  num_actions bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint transaction_chunks_pkey primary key (id)
);

comment on column transaction_chunks.first_index is 'Place of its first action among those of the table; null while it is received.';

create index transaction_chunks_order_idx on transaction_chunks (transaction_id, table_id, first_index);
create index transaction_chunks_receiving_idx on transaction_chunks (created_at) where first_index is null;

create table transaction_lines (
  chunk_id uuid not null,
  position integer not null,
  lines text not null,
  constraint transaction_lines_pkey primary key (chunk_id, position)
);

comment on column transaction_lines.lines is 'Some actions of the chunk, one a line, token for token.';
