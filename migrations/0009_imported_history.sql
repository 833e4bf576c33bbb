-- Tables whose log others began: their history may begin late, and their commits may lack a commitInfo.

alter table tables
  add column history_from bigint not null default 0,
  add column commits_from bigint not null default 0;
comment on column tables.history_from is 'The oldest version with a snapshot; its files are of this version, or of the one before where their commit is not known.';
comment on column tables.commits_from is 'The oldest version whose commit is known: history_from, or the one after it where that is a checkpoint alone.';

alter table commits
  alter column commit_info drop not null,
  add column commit_info_position integer default 0,
  add constraint commits_commit_info_position_check
    check ((commit_info is null) = (commit_info_position is null));
comment on column commits.commit_info is 'The commitInfo action; null where another writer gave none.';
comment on column commits.commit_info_position is 'Line of the commitInfo in the log file, from 0; always the first where the service wrote it.';
