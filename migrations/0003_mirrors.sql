-- How far a table's commits have been published to its own _delta_log.
create table mirrors (
  table_id uuid not null,
  published_version bigint not null default -1,
  published_at timestamptz,
  state text not null default 'publishing',
  attempts integer not null default 0,
  last_error text,
  next_retry_at timestamptz,
  constraint mirrors_pkey primary key (table_id),
  constraint mirrors_table_id_fkey foreign key (table_id) references tables (id),
  constraint mirrors_state_check check (state in ('publishing', 'retrying', 'forked'))
) with (fillfactor = 50);

comment on column mirrors.published_version is 'The newest version whose log file is written and synced; -1 before the first.';
