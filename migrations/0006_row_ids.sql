alter table tables add column row_id_high_water_mark bigint;

comment on column tables.row_id_high_water_mark is 'The highest row id ever given to a row, as the domain delta.rowTracking tells it; null where none was.';
