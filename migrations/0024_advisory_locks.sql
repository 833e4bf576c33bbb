-- Locks that are advisory locks of PostgreSQL besides.
alter table lock_holders
  add column advisory_key bigint,
  add column backend_pid integer;

comment on column lock_holders.advisory_key is 'Key of the advisory lock without which the holder does not have the lock; null where it is a lease alone.';
comment on column lock_holders.backend_pid is 'The process of PostgreSQL that holds the advisory lock.';

create index lock_holders_advisory_idx on lock_holders (backend_pid) where advisory_key is not null;
