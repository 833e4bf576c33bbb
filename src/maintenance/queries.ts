import { sql } from 'kysely'
import type { Db, Tx } from '../database/connect.ts'

/** What an operation does to the database. */
export type OperationKind = 'vacuum' | 'retention' | 'archive' | 'checkpoint'

/** How far an operation has come, in the things that it counts. */
export interface Progress {
  done: number
  total: number
}

/** A row of `maintenance_operations`. */
export interface OperationRow extends Progress {
  operationId: string
  kind: string
  state: string
  error: string | null
  createdAt: string
  heartbeatAt: string
  finishedAt: string | null
  /** Milliseconds since the server that runs it was last heard of, by the clock of the database. */
  silentMs: number
}

const operationColumns = [
  'operation_id as operationId',
  'kind',
  'state',
  'done',
  'total',
  'error',
  'created_at as createdAt',
  'heartbeat_at as heartbeatAt',
  'finished_at as finishedAt',
  sql<number>`extract(epoch from clock_timestamp() - heartbeat_at)::float8 * 1000`.as('silentMs'),
] as const

/** Notes a new operation as running. */
export function insertOperation(
  tx: Tx,
  operation: { operationId: string; kind: OperationKind },
): Promise<OperationRow> {
  return tx
    .insertInto('maintenance_operations')
    .values({ operation_id: operation.operationId, kind: operation.kind })
    .returning(operationColumns)
    .executeTakeFirstOrThrow()
}

export function findOperation(db: Db, operationId: string): Promise<OperationRow | undefined> {
  return db
    .selectFrom('maintenance_operations')
    .select(operationColumns)
    .where('operation_id', '=', operationId)
    .executeTakeFirst()
}

/** Says that the server that runs these operations lives. */
export async function updateHeartbeats(tx: Tx, operationIds: readonly string[]): Promise<void> {
  await tx
    .updateTable('maintenance_operations')
    .set({ heartbeat_at: sql`clock_timestamp()` })
    .where('operation_id', 'in', operationIds)
    .execute()
}

/** Says how far a running operation has come. */
export async function updateProgress(
  tx: Tx,
  operationId: string,
  { done, total }: Progress,
): Promise<void> {
  await tx
    .updateTable('maintenance_operations')
    .set({ done, total, heartbeat_at: sql`clock_timestamp()` })
    .where('operation_id', '=', operationId)
    .execute()
}

/** Ends a running operation: as failed where there is an error, else as succeeded. */
export async function updateFinished(
  tx: Tx,
  operationId: string,
  error: string | undefined,
): Promise<void> {
  await tx
    .updateTable('maintenance_operations')
    .set({
      state: error === undefined ? 'succeeded' : 'failed',
      error: error ?? null,
      finished_at: sql`clock_timestamp()`,
    })
    .where('operation_id', '=', operationId)
    .execute()
}

/** How many answers of idempotent requests have outlived the retention time. */
export async function countExpiredAnswers(db: Db, retentionMs: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) from idempotency_keys
    where created_at <= clock_timestamp() - ${retentionMs} * interval '1 ms'`.execute(db)
  return rows[0]?.count ?? 0
}

/** The names of the SQL tables of this service. */
export async function listSqlTables(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_stat_user_tables
    where schemaname = current_schema() order by relname`.execute(db)
  return rows.map(({ name }) => name)
}

/** Vacuums and analyzes one SQL table. PostgreSQL runs it in no transaction, and it may take its time. */
export function vacuumTable(db: Db, table: string): Promise<void> {
  return withoutStatementLimit(db, async (one) => {
    await sql`vacuum (analyze) ${sql.table(table)}`.execute(one)
  })
}

/** Makes PostgreSQL write out all that it holds in memory. Fails for a role that may not ask for it. */
export function checkpoint(db: Db): Promise<void> {
  return withoutStatementLimit(db, async (one) => {
    await sql`checkpoint`.execute(one)
  })
}

/** Runs `work` on one connection, on which a statement may take longer than one of a request. */
function withoutStatementLimit(db: Db, work: (one: Db) => Promise<void>): Promise<void> {
  return db.connection().execute(async (one) => {
    await sql`set statement_timeout = 0`.execute(one)
    try {
      await work(one)
    } finally {
      await sql`reset statement_timeout`.execute(one)
    }
  })
}

/** What PostgreSQL knows of a SQL table. */
export interface SqlTableRow {
  name: string
  rows: number
  deadRows: number
  sizeInBytes: number
  indexSizeInBytes: number
  lastVacuum: string | null
  lastAnalyze: string | null
}

/** The SQL tables of this service by name. */
export async function listTableStatistics(db: Db): Promise<SqlTableRow[]> {
  const { rows } = await sql<SqlTableRow>`
    select relname as name, n_live_tup as rows, n_dead_tup as "deadRows",
      pg_table_size(relid) as "sizeInBytes", pg_indexes_size(relid) as "indexSizeInBytes",
      greatest(last_vacuum, last_autovacuum) as "lastVacuum",
      greatest(last_analyze, last_autoanalyze) as "lastAnalyze"
    from pg_stat_user_tables where schemaname = current_schema() order by relname`.execute(db)
  return rows
}

/** What PostgreSQL knows of an index. */
export interface IndexRow {
  table: string
  name: string
  scans: number
  sizeInBytes: number
}

/** The indexes of this service by table, then name. */
export async function listIndexStatistics(db: Db): Promise<IndexRow[]> {
  const { rows } = await sql<IndexRow>`
    select relname as table, indexrelname as name, idx_scan as scans,
      pg_relation_size(indexrelid) as "sizeInBytes"
    from pg_stat_user_indexes where schemaname = current_schema()
    order by relname, indexrelname`.execute(db)
  return rows
}

/** Whether PostgreSQL follows another one. */
export async function findRole(db: Db): Promise<'primary' | 'standby'> {
  const { rows } = await sql<{ standby: boolean }>`
    select pg_is_in_recovery() as standby`.execute(db)
  return rows[0]?.standby ? 'standby' : 'primary'
}

/** A PostgreSQL that follows this one; a lag is null where it is not known. */
export interface ReplicaRow {
  name: string
  state: string
  lagMs: number | null
  lagBytes: number | null
}

/** The replicas by name. PostgreSQL tells the lag in time only while there is something to replay. */
export async function listReplicas(db: Db): Promise<ReplicaRow[]> {
  const { rows } = await sql<ReplicaRow>`
    select name, state, "lagBytes", case when "lagBytes" = 0 then 0 else "lagMs" end as "lagMs"
    from (
      select application_name as name, coalesce(state, 'unknown') as state,
        round(extract(epoch from replay_lag) * 1000)::bigint as "lagMs",
        greatest(pg_wal_lsn_diff(
          case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
          replay_lsn)::bigint, case when replay_lsn is not null then 0 end) as "lagBytes"
      from pg_stat_replication where state is distinct from 'backup'
    ) as replicas
    order by name`.execute(db)
  return rows
}
