-- A row of `tables` is the head of one Delta table, and the lock that orders its commits.
create table tables (
  id uuid not null,
  name text not null,
  location text not null,
  version bigint not null,
  in_commit_timestamp bigint not null,
  protocol json not null,
  metadata json not null,
  num_files bigint not null,
  size_in_bytes bigint not null,
  num_records bigint not null,
  num_files_without_records bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  dropped_at timestamptz,
  constraint tables_pkey primary key (id)
) with (fillfactor = 50);

comment on column tables.version is 'The newest committed version.';
comment on column tables.in_commit_timestamp is 'Epoch milliseconds; strictly rising from version to version.';
comment on column tables.protocol is 'The protocol action in force, as it stands in the log.';
comment on column tables.metadata is 'The metaData action in force, as it stands in the log.';
comment on column tables.num_records is 'Rows of the live files whose number of rows is known, less those that deletion vectors remove.';

-- A dropped table gives its name free and keeps its location, for its data is still there.
create unique index tables_name_key on tables (lower(name)) where dropped_at is null;
create unique index tables_location_key on tables (location);
