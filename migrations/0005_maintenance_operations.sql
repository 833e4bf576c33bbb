-- Work on the database that a caller has asked for, and how far the server that took the request has come with it.
create table maintenance_operations (
  operation_id uuid not null,
  kind text not null,
  state text not null default 'running',
  done bigint not null default 0,
  total bigint not null default 0,
  error text,
  created_at timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  constraint maintenance_operations_pkey primary key (operation_id),
  constraint maintenance_operations_kind_check check (kind in ('vacuum', 'retention', 'checkpoint')),
  constraint maintenance_operations_state_check check (state in ('running', 'succeeded', 'failed')),
  constraint maintenance_operations_error_check check ((state = 'failed') = (error is not null)),
  constraint maintenance_operations_finished_at_check check ((state = 'running') = (finished_at is null))
);

comment on column maintenance_operations.heartbeat_at is 'When the server that runs the operation last said so; one that has died says nothing more.';
