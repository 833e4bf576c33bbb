alter table maintenance_operations
  drop constraint maintenance_operations_kind_check,
  add constraint maintenance_operations_kind_check check (kind in ('vacuum', 'retention', 'archive', 'checkpoint'));
