-- Finds the mirrors that somebody must look at among those of all tables.
create index mirrors_unwell_idx on mirrors (table_id) where state <> 'publishing' or paused_at is not null;
