-- Finds the tables for whose logs there may be something to do among all tables.
alter table tables add column is_unsettled boolean not null default false;

update tables t set is_unsettled = true
from mirrors m join checkpoints c on c.table_id = m.table_id
where m.table_id = t.id and (m.published_version < t.version or c.checksum_version < m.published_version);

alter table tables alter column is_unsettled set default true;

comment on column tables.is_unsettled is 'Whether there may be something to do for its log. Set by each commit; unset some time after all is done, and only where the head is locked.';

create index tables_unsettled_idx on tables (id) where is_unsettled;
