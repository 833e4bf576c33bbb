-- How far the files beside a table's published commits have come: checkpoints, checksums of versions, clean-up.
create table checkpoints (
  table_id uuid not null,
  version bigint not null default -1,
  due_version bigint not null default -1,
  checksum_version bigint not null default -1,
  cleaned_version bigint not null default -1,
  claimed_until timestamptz,
  attempts integer not null default 0,
  last_error text,
  next_retry_at timestamptz,
  constraint checkpoints_pkey primary key (table_id),
  constraint checkpoints_table_id_fkey foreign key (table_id) references tables (id)
) with (fillfactor = 50);

comment on column checkpoints.version is 'The newest version of which a checkpoint was written; -1 before the first.';
comment on column checkpoints.due_version is 'The newest version of which a checkpoint is due, written or not.';
comment on column checkpoints.checksum_version is 'The newest published version that has been looked at: its checksum is written, and whether a checkpoint is due is noted.';
comment on column checkpoints.cleaned_version is 'The newest expired version at the last clean-up of the log.';
comment on column checkpoints.claimed_until is 'Until when one server writes the checkpoint of the table; it renews the time while it lives.';

create index checkpoints_due_idx on checkpoints (table_id) where due_version > version;

insert into checkpoints (table_id, checksum_version) select table_id, published_version from mirrors;
