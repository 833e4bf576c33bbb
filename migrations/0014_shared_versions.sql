-- Finds the versions of a table that belong to transactions, and the versions of one transaction: they are published together.
create index commits_shared_idx on commits (table_id, version) where transaction_id is not null;
create index commits_transaction_idx on commits (transaction_id, table_id, version) where transaction_id is not null;
