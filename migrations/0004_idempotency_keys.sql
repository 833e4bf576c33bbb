-- The answer to each request that came with an Idempotency-Key, written in the transaction that did its work.
create table idempotency_keys (
  key text not null,
  request_hash bytea not null,
  status smallint not null,
  headers json not null,
  body text not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint idempotency_keys_pkey primary key (key)
);

create index idempotency_keys_created_at_idx on idempotency_keys (created_at);
