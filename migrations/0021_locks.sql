-- Locks by lease, and elections, which are locks of a kind of their own. The row of a lock orders all that happens to it and is never removed, so that its tokens only rise.
create table locks (
  id bigint generated always as identity,
  kind text not null default 'lock',
  name text collate "C" not null,
  token bigint not null default 0,
  delayed_until timestamptz,
  last_event bigint not null default 0,
  revision bigint not null default 0,
  created_at timestamptz not null default clock_timestamp(),
  constraint locks_pkey primary key (id),
  constraint locks_name_key unique (kind, name),
  constraint locks_kind_check check (kind in ('lock', 'election'))
) with (fillfactor = 50);

comment on column locks.token is 'Of the last grant; every grant has a higher one than all before it.';
comment on column locks.delayed_until is 'Until when nobody gets it, because a holder has let it expire; null where that was never so.';
comment on column locks.last_event is 'Number of its last event.';
comment on column locks.revision is 'Rises with every change of the lock, of who has it and of who waits for it, but for renewals of leases and of waits.';

create table lock_holders (
  lock_id bigint not null,
  holder text not null,
  mode text not null,
  token bigint not null,
  ttl_ms bigint not null,
  lock_delay_ms bigint not null default 0,
  metadata json,
  request_id uuid,
  granted_at timestamptz not null,
  expires_at timestamptz not null,
  constraint lock_holders_pkey primary key (lock_id, holder),
  constraint lock_holders_mode_check check (mode in ('exclusive', 'shared'))
) with (fillfactor = 50);

comment on column lock_holders.request_id is 'The request that was granted it, if it was one alone: should nobody wait for its answer any more, the lock is given free.';
comment on column lock_holders.expires_at is 'From then on it holds the lock no more, whether the row was removed or not.';

-- What a holder waits for is found by what it holds.
create index lock_holders_holder_idx on lock_holders (holder);

-- Requests that wait for a lock, with all that they ask for: any server may grant it.
create table lock_waits (
  request_id uuid not null,
  lock_id bigint not null,
  holder text not null,
  mode text not null,
  priority smallint not null default 0,
  place bigint generated always as identity,
  ttl_ms bigint not null,
  lock_delay_ms bigint not null default 0,
  metadata json,
  begun_at timestamptz not null default clock_timestamp(),
  alive_until timestamptz not null,
  cycle json,
  constraint lock_waits_pkey primary key (request_id),
  constraint lock_waits_mode_check check (mode in ('exclusive', 'shared'))
);

comment on column lock_waits.place is 'Within a priority, who has the lower one goes first.';
comment on column lock_waits.alive_until is 'Until when the server of the request is taken to live; it renews the time.';
comment on column lock_waits.cycle is 'Of a request that was chosen to end a deadlock: its cycle. It waits no more.';

create index lock_waits_line_idx on lock_waits (lock_id, priority desc, place);
create index lock_waits_holder_idx on lock_waits (holder);
create index lock_waits_alive_idx on lock_waits (alive_until);
