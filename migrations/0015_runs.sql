-- Runs of pipelines. A run gives out the numbers under which its commits apply once, and its row orders who asks for one.
create table runs (
  run_id text not null,
  label text,
  metadata json,
  commit_sequence bigint not null,
  status text not null default 'running',
  created_at timestamptz not null,
  finished_at timestamptz,
  constraint runs_pkey primary key (run_id),
  constraint runs_commit_sequence_check check (commit_sequence >= 0),
  constraint runs_status_check check (status in ('running', 'succeeded', 'failed')),
  constraint runs_finished_at_check check ((status = 'running') = (finished_at is null))
) with (fillfactor = 50);

comment on column runs.run_id is 'The appId of its commits.';
comment on column runs.commit_sequence is 'The number that is given out next.';

create index runs_created_idx on runs (created_at, run_id);
create index runs_status_idx on runs (status, created_at, run_id);
create index runs_label_idx on runs (label, created_at, run_id);

-- The numbers of a run that were given out, committed or both.
create table run_numbers (
  run_id text not null,
  commit_sequence bigint not null,
  given_at timestamptz,
  committed_at timestamptz,
  constraint run_numbers_pkey primary key (run_id, commit_sequence)
);

comment on column run_numbers.given_at is 'When it was last given out; null where its writer has chosen it.';
comment on column run_numbers.committed_at is 'When a commit under it was first seen.';

create index run_numbers_gaps_idx on run_numbers (run_id, commit_sequence)
  where given_at is not null and committed_at is null;

-- What became of each table of a commit under a run. Written by the PostgreSQL transaction that commits or refuses it.
create table run_attempts (
  attempt_id bigint generated always as identity,
  run_id text not null,
  commit_sequence bigint not null,
  table_id uuid,
  table_name text,
  transaction_id uuid,
  outcome text not null,
  version bigint,
  problem_code text,
  detail text,
  attempted_at timestamptz not null default statement_timestamp(),
  constraint run_attempts_pkey primary key (run_id, attempt_id),
  constraint run_attempts_outcome_check check (outcome in ('committed', 'duplicate', 'refused')),
  constraint run_attempts_version_check check ((outcome = 'refused') = (version is null)),
  constraint run_attempts_problem_code_check check ((outcome = 'refused') = (problem_code is not null))
);

comment on column run_attempts.table_name is 'As the writer has named it, where no table is known by that.';
comment on column run_attempts.version is 'Of the table; of a duplicate that of the first time.';

create index run_attempts_sequence_idx on run_attempts (run_id, commit_sequence, attempt_id);
create index run_attempts_outcome_idx on run_attempts (run_id, outcome, attempt_id);
