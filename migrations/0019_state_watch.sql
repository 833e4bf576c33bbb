-- Watchers are told whether a put made its entry, which no other column tells: an entry that has expired was none any more.
alter table state_history add column is_new boolean not null default false;
alter table state_archive add column is_new boolean not null default false;

comment on column state_history.is_new is 'Whether it is a put of a key that had no entry.';
comment on column state_archive.is_new is 'Whether it is a put of a key that had no entry.';

-- When a revision was written, where all its writes have left the history.
create index state_archive_revision_idx on state_archive (namespace_id, revision);
