-- Pipeline state. The row of a namespace orders all its writes: whoever locks it has the next revision.
create table state_namespaces (
  id integer generated always as identity,
  namespace text collate "C" not null,
  revision bigint not null default 0,
  num_entries bigint not null default 0,
  history_from bigint not null default 1,
  swept_revision bigint not null default 0,
  swept_position integer not null default 2147483647,
  archive_from bigint,
  version_floor bigint not null default 0,
  default_ttl_ms bigint,
  requires_precondition boolean not null default false,
  durability text not null default 'sync',
  has_metadata_index boolean not null default false,
  retention_age_ms bigint,
  retention_revisions bigint,
  archives boolean not null default false,
  read_preference text,
  created_at timestamptz not null default clock_timestamp(),
  constraint state_namespaces_pkey primary key (id),
  constraint state_namespaces_namespace_key unique (namespace),
  constraint state_namespaces_durability_check check (durability in ('sync', 'async'))
) with (fillfactor = 50);

comment on column state_namespaces.revision is 'Of the last write; what was written together shares one.';
comment on column state_namespaces.num_entries is 'Entries that are not deleted, with those that have expired and were not removed yet.';
comment on column state_namespaces.history_from is 'The oldest revision that the history tells of whole.';
comment on column state_namespaces.swept_revision is 'The write up to which, with swept_position, all that it replaced has left the history.';
comment on column state_namespaces.archive_from is 'The oldest revision that history and archive together tell of whole; null where nothing was archived.';
comment on column state_namespaces.version_floor is 'The highest version of a deleted entry that was forgotten: new entries begin above it.';
comment on column state_namespaces.retention_age_ms is 'For how long what was replaced stays in the history; null for ever.';
comment on column state_namespaces.retention_revisions is 'How many revisions the history reaches back; null for all.';
comment on column state_namespaces.archives is 'Whether what leaves the history goes to the archive.';

create index state_namespaces_retention_idx on state_namespaces (id)
  where retention_age_ms is not null or retention_revisions is not null;

-- The newest write of each key. That of a deleted one stays, for its version goes on.
create table state_entries (
  namespace_id integer not null,
  key text collate "C" not null,
  version bigint not null,
  revision bigint not null,
  is_deleted boolean not null default false,
  json text,
  content_type text,
  bytes bytea,
  metadata jsonb,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  constraint state_entries_pkey primary key (namespace_id, key)
) with (fillfactor = 70);

comment on column state_entries.json is 'The value token for token, where it is JSON.';
comment on column state_entries.content_type is 'Of the bytes, where the value is not JSON.';
comment on column state_entries.expires_at is 'From then on it is gone for every reader, removed or not; null where it stays, or is deleted.';

create index state_entries_expires_idx on state_entries (expires_at) where expires_at is not null;

-- Every write, in the order of revisions: what watchers are told, and what was there at a revision.
create table state_history (
  namespace_id integer not null,
  revision bigint not null,
  position integer not null,
  key text collate "C" not null,
  version bigint not null,
  kind text not null,
  json text,
  content_type text,
  bytes bytea,
  metadata jsonb,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  expires_at timestamptz,
  constraint state_history_pkey primary key (namespace_id, revision, position),
  constraint state_history_kind_check check (kind in ('put', 'delete', 'expire'))
);

comment on column state_history.position is 'Place among the writes of the revision, from 0.';
comment on column state_history.created_at is 'When the entry was made that was written to.';
comment on column state_history.updated_at is 'When this was written.';

create index state_history_key_idx on state_history (namespace_id, key, revision);

-- Writes that have left the history of a namespace that keeps them here.
create table state_archive (like state_history including comments including constraints);
alter table state_archive add constraint state_archive_pkey primary key (namespace_id, key, revision);
