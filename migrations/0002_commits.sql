create table commits (
  table_id uuid not null,
  version bigint not null,
  in_commit_timestamp bigint not null,
  committed_at timestamptz not null default clock_timestamp(),
  xid xid8 not null default pg_current_xact_id(),
  operation text not null,
  num_added_files bigint not null,
  num_removed_files bigint not null,
  num_added_bytes bigint not null,
  num_removed_bytes bigint not null,
  num_files bigint not null,
  size_in_bytes bigint not null,
  num_records bigint not null,
  num_files_without_records bigint not null,
  commit_info json not null,
  constraint commits_pkey primary key (table_id, version)
);

comment on column commits.commit_info is 'The commitInfo action; always the first line of the log file.';
comment on column commits.num_files is 'Live files of this version; so are the three columns after it, which makes any version as cheap to tell about as the newest.';
comment on column commits.xid is 'The PostgreSQL transaction, so that a pg_snapshot can name a view over many tables.';

create unique index commits_in_commit_timestamp_key on commits (table_id, in_commit_timestamp);

-- A row of `files` is one life of a data file: live from added_version until just before removed_version.
-- The files of version v are those with added_version <= v and (removed_version is null or removed_version > v).
-- A remove of a file that was never added is an empty life: added_version = removed_version, no add.
create table files (
  table_id uuid not null,
  added_version bigint not null,
  added_position integer not null,
  removed_version bigint,
  removed_position integer,
  path text not null,
  deletion_vector_id text,
  size bigint not null,
  num_records bigint,
  add json,
  remove json,
  constraint files_pkey primary key (table_id, added_version, added_position)
);

comment on column files.added_position is 'Line of the add in the log file of added_version, from 0.';
comment on column files.removed_position is 'Line of the remove in the log file of removed_version; null when the file was added anew instead.';
comment on column files.path is 'The path in canonical form, percent-decoded; the add keeps the original.';
comment on column files.add is 'The log line, token for token.';

create unique index files_live_path_key on files (table_id, path) where removed_version is null;
create index files_removed_idx on files (table_id, removed_version, removed_position)
  where removed_version is not null;

-- Every action that is not an add, a remove or the commitInfo. Those that replace an earlier one of the same
-- kind and key (protocol, metaData, txn by appId, domainMetadata by domain) have a key and a life, like files.
create table actions (
  table_id uuid not null,
  version bigint not null,
  position integer not null,
  kind text not null,
  key text,
  superseded_version bigint,
  app_version bigint,
  action json not null,
  constraint actions_pkey primary key (table_id, version, position)
);

comment on column actions.key is 'appId of a txn, domain of a domainMetadata, empty for protocol and metaData; null when nothing replaces the action.';

comment on column actions.app_version is 'Of a txn: the version that the application gave it.';

create unique index actions_current_key on actions (table_id, kind, key)
  where key is not null and superseded_version is null;
create index actions_history_idx on actions (table_id, kind, key, version) where key is not null;
create index actions_app_version_idx on actions (table_id, key, app_version, version) where app_version is not null;
