import { join } from 'node:path'
import pg from 'pg'
import { type EmbeddedConnection, startEmbeddedPostgres } from '../../src/database/embedded.ts'

/** The database below a server, to be measured without the server. */
export interface BareDatabase {
  connection: EmbeddedConnection
  run: (statements: string) => Promise<pg.QueryResult>
  close: () => Promise<void>
}

/** Connects to the embedded PostgreSQL that a server runs in its DATA_DIR. */
export async function openBareDatabase(dataDir: string): Promise<BareDatabase> {
  const silent = { info() {}, warn() {}, error() {} }
  const postgres = await startEmbeddedPostgres({ folder: join(dataDir, 'postgres'), log: silent })
  const client = new pg.Client(postgres.connection)
  await client.connect()
  return {
    connection: postgres.connection,
    run: (statements) => client.query(statements),
    close: async () => {
      await client.end()
      await postgres.leave()
    },
  }
}

/** Copies of the tables that a commit writes to, with `heads` rows in `bare_tables`, numbered from 1. */
export async function createBareTables(database: BareDatabase, heads: number): Promise<void> {
  await database.run(`
    drop table if exists bare_tables, bare_commits, bare_files;
    create table bare_tables (number integer primary key, like tables including all excluding indexes);
    create table bare_commits (like commits including all);
    create table bare_files (like files including all);
    insert into bare_tables
    select n, gen_random_uuid(), 'bare_' || n, '/bare/' || n, 0, 0, '{}', '{}', 0, 0, 0, 0
    from generate_series(1, ${heads}) n;
    analyze bare_tables;`)
}

/** The bare statements of a commit of one file: lock, insert commit, insert file, move the head. */
export function bareCommit(heads: number): string {
  // pgbench takes a colon before a word for a variable of its own.
  const add = JSON.stringify({ add: addOf('part-0') }).replaceAll('":', '": ')
  return `
\\set number random(1, ${heads})
\\set file random(1, 1000000000)
begin;
select id, version from bare_tables where number = :number for update \\gset
insert into bare_commits (table_id, version, in_commit_timestamp, operation, num_added_files,
  num_removed_files, num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records,
  num_files_without_records, commit_info)
values (:id, :version + 1, :version + 1, 'WRITE', 1, 0, 1, 0, 1, 1, 1, 0, '{"commitInfo":{"operation":"WRITE"}}');
insert into bare_files (table_id, added_version, added_position, path, size, num_records, add)
values (:id, :version + 1, 1, 'part-' || :version || '-' || :file, 1, 1, '${add}');
update bare_tables set version = version + 1, num_files = num_files + 1 where number = :number;
commit;
`
}

/** How many tables a transaction of the benchmarks commits to. */
export const tablesTogether = 10

/** Room for bare transactions beside the bare tables. */
export async function createBareTransactions(database: BareDatabase): Promise<void> {
  await database.run(
    'drop table if exists bare_transactions; create table bare_transactions (like transactions including all)',
  )
}

/**
 * The bare statements of a transaction of one file for each of ten tables, as one of `groups` of tables: lock them in
 * order, insert commits and files, move the heads, note the transaction.
 */
export function bareTransaction(groups: number): string {
  const add = JSON.stringify({ add: addOf('part-0') }).replaceAll('":', '": ')
  const receipt = JSON.stringify({
    tableId: '00000000-0000-0000-0000-000000000000',
    version: 1,
    inCommitTimestamp: 1_795_000_000_000,
  }).replaceAll('":', '": ')
  const receipts = `[${Array(tablesTogether).fill(receipt).join(',')}]`
  const ours = `number between :group * ${tablesTogether} + 1 and :group * ${tablesTogether} + ${tablesTogether}`
  return `
\\set group random(0, ${groups - 1})
\\set file random(1, 1000000000)
begin;
select id, version from bare_tables where ${ours} order by id for update;
insert into bare_commits (table_id, version, in_commit_timestamp, operation, num_added_files,
  num_removed_files, num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records,
  num_files_without_records, commit_info)
select id, version + 1, version + 1, 'WRITE', 1, 0, 1, 0, 1, 1, 1, 0, '{"commitInfo": {"operation": "WRITE"}}'
from bare_tables where ${ours};
insert into bare_files (table_id, added_version, added_position, path, size, num_records, add)
select id, version + 1, 1, 'part-' || version || '-' || :file, 1, 1, '${add}' from bare_tables where ${ours};
update bare_tables set version = version + 1, num_files = num_files + 1 where ${ours};
insert into bare_transactions (id, state, isolation_level, priority, created_at, ended_at, tables)
values (gen_random_uuid(), 'committed', 'RepeatableRead', 5, now(), now(), '${receipts}');
commit;
`
}

/** Gives the first of `bare_tables` a live file for each of `writers`, numbered from 1 in `size`. */
export async function createBareFiles(database: BareDatabase, writers: number): Promise<void> {
  await database.run(`
    insert into bare_files (table_id, added_version, added_position, path, size, num_records, add)
    select id, 0, n, 'part-' || n, n, 1, '{}' from bare_tables, generate_series(1, ${writers}) n
    where number = 1;
    analyze bare_files;`)
}

/** The bare statements of a commit that rewrites a file: lock, insert commit, end file, insert file, move the head. */
export function bareRewrite(writers: number): string {
  const add = JSON.stringify({ add: addOf('part-0') }).replaceAll('":', '": ')
  return `
\\set writer :client_id + 1
begin;
select id, version from bare_tables where number = 1 for update \\gset
insert into bare_commits (table_id, version, in_commit_timestamp, operation, num_added_files,
  num_removed_files, num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records,
  num_files_without_records, commit_info)
values (:id, :version + 1, :version + 1, 'UPDATE', 1, 1, 1, 1, ${writers}, 1, 1, 0, '{"commitInfo":{"operation":"UPDATE"}}');
update bare_files set removed_version = :version + 1, removed_position = 1, remove = '{}'
where table_id = :id and path = 'part-' || :writer and removed_version is null;
insert into bare_files (table_id, added_version, added_position, path, size, num_records, add)
values (:id, :version + 1, 2, 'part-' || :writer, :writer, 1, '${add}');
update bare_tables set version = version + 1 where number = 1;
commit;
`
}

/** A copy of the table of entries, with those of the keys k0 to k(keys - 1) in namespace 1. */
export async function createBareEntries(database: BareDatabase, keys: number): Promise<void> {
  await database.run(`
    drop table if exists bare_entries;
    create table bare_entries (like state_entries including all);
    insert into bare_entries (namespace_id, key, version, revision, json, created_at, updated_at)
    select 1, 'k' || n, 1, 1, '{"count": 0}', now(), now() from generate_series(0, ${keys - 1}) n;
    analyze bare_entries;`)
}

/** The bare statement of a put of one key. */
export function barePut(keys: number): string {
  return `
\\set key random(0, ${keys - 1})
insert into bare_entries (namespace_id, key, version, revision, json, created_at, updated_at)
values (1, 'k' || :key, 1, 1, '{"count": 1}', now(), now())
on conflict (namespace_id, key) do update set version = bare_entries.version + 1,
  revision = bare_entries.revision + 1, json = excluded.json, updated_at = excluded.updated_at;
`
}

/** An add as the benchmarks commit it. */
export function addOf(path: string) {
  return {
    path,
    partitionValues: {},
    size: 1024,
    modificationTime: 1_795_000_000_000,
    dataChange: true,
    stats: '{"numRecords":1,"minValues":{"id":1},"maxValues":{"id":1},"nullCount":{"id":0}}',
  }
}
