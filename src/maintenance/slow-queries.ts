import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { isNotReady } from '../database/sqlstate.ts'

/** What PostgreSQL has counted of a query. Times in milliseconds, over all its calls. */
export interface SlowQuery {
  /** With its constants left out, and cut off where it is long. */
  query: string
  calls: number
  totalMs: number
  meanMs: number
  maxMs: number
  rows: number
}

/** The queries that have taken most time in all, or why that is not known. */
export type SlowQueries =
  | { available: true; items: SlowQuery[] }
  | { available: false; reason: string; items: [] }

const queriesMax = 20
const charactersMax = 1000

/** Asks pg_stat_statements for the queries to this database. */
export async function listSlowQueries(db: Db): Promise<SlowQueries> {
  const { rows } = await sql<{ schema: string }>`
    select n.nspname as schema from pg_extension e join pg_namespace n on n.oid = e.extnamespace
    where e.extname = 'pg_stat_statements'`.execute(db)
  const [found] = rows
  if (found === undefined) {
    return unknown(
      'The extension pg_stat_statements is absent: CREATE EXTENSION pg_stat_statements.',
    )
  }
  try {
    return { available: true, items: await readStatements(db, found.schema) }
  } catch (error) {
    if (!isNotReady(error)) throw error
    return unknown(
      'The library of pg_stat_statements is not loaded: name it in shared_preload_libraries.',
    )
  }
}

function unknown(reason: string): SlowQueries {
  return { available: false, reason, items: [] }
}

async function readStatements(db: Db, schema: string): Promise<SlowQuery[]> {
  const { rows } = await sql<SlowQuery>`
    select left(query, ${charactersMax}) as query, calls, total_exec_time as "totalMs",
      mean_exec_time as "meanMs", max_exec_time as "maxMs", rows
    from ${sql.table(`${schema}.pg_stat_statements`)}
    where dbid = (select oid from pg_database where datname = current_database())
    order by total_exec_time desc limit ${queriesMax}`.execute(db)
  return rows
}
