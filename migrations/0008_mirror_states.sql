-- Mirrors can be paused, can need a person, and tell what both sides of a fork hold.
alter table mirrors
  add column paused_at timestamptz,
  add column fork json;

update mirrors set fork = json_build_object('version', published_version + 1) where state = 'forked';

alter table mirrors
  drop constraint mirrors_state_check,
  add constraint mirrors_state_check check (state in ('publishing', 'retrying', 'failed', 'forked')),
  add constraint mirrors_fork_check check ((state = 'forked') = (fork is not null));

comment on column mirrors.paused_at is 'Since when nothing is published because somebody asked for it; whatever the state, which goes on from there.';
comment on column mirrors.fork is 'What stands at the version after published_version: what was committed here, if anything was, and what somebody else wrote.';
