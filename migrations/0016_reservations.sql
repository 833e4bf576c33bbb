-- Tables that transactions have reserved, and the requests that wait for them: together a wait-for graph. Who reserves holds
-- the row of the table, as a commit does; the column tells a commit, which has that row already, to look here.
alter table tables add column is_reserved boolean not null default false;
comment on column tables.is_reserved is 'Whether there may be a reservation; set and cleared under the lock of the row.';

create table reservations (
  table_id uuid not null,
  transaction_id uuid not null,
  reserved_at timestamptz not null default clock_timestamp(),
  constraint reservations_pkey primary key (table_id)
);

comment on table reservations is 'They count for as long as their transaction is under way.';

create index reservations_transaction_idx on reservations (transaction_id);

create table reservation_waits (
  request_id uuid not null,
  table_id uuid not null,
  transaction_id uuid not null,
  begun_at timestamptz not null,
  alive_until timestamptz not null,
  cycle json,
  constraint reservation_waits_pkey primary key (request_id, table_id)
);

comment on column reservation_waits.begun_at is 'When the transaction was begun: who began first goes first.';
comment on column reservation_waits.alive_until is 'Until when the server of the request is taken to live; it renews the time.';
comment on column reservation_waits.cycle is 'Of a request that was chosen to end a deadlock: its cycle. It waits no more.';

create index reservation_waits_line_idx on reservation_waits (table_id, begun_at, transaction_id);
create index reservation_waits_transaction_idx on reservation_waits (transaction_id);
create index reservation_waits_alive_idx on reservation_waits (alive_until);
