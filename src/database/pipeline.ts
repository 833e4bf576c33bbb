import {
  type DatabaseConnection,
  type Dialect,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import type { PoolClient } from 'pg'
import type { Pool, Tx } from './connect.ts'
import type { DB as Database } from './types.ts'

/** What comes of the work of a pipelined transaction: its result, and the last statements, still under way. */
export interface PipelinedWork<Result> {
  result: Result
  writes: readonly Promise<unknown>[]
}

/**
 * Runs `work` in one PostgreSQL transaction at READ COMMITTED, on a pool with `pipeline`. Statements that are
 * issued without waiting for each other travel together, and run in their order; so do the last writes and the
 * commit. Statements are prepared once for each connection. It rolls back when `work` or a write fails.
 */
export async function inPipelinedTransaction<Result>(
  pool: Pool,
  work: (tx: Tx) => Promise<PipelinedWork<Result>>,
): Promise<Result> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    const begun = client.query('begin isolation level read committed')
    const [{ result, writes }] = await Promise.all([work(transactionOver(client)), begun])
    await Promise.all([...writes, client.query('commit')])
    return result
  } catch (error) {
    await client.query('rollback').catch((cause) => {
      broken = cause
    })
    throw error
  } finally {
    client.release(broken)
  }
}

const transactions = new WeakMap<PoolClient, Tx>()

/** The queries of one connection. The caller has begun a transaction on it, so they may do what takes a `Tx`. */
function transactionOver(client: PoolClient): Tx {
  const known = transactions.get(client)
  if (known !== undefined) return known
  const tx = new Kysely<Database>({ dialect: dialectOver(client) }) as unknown as Tx
  transactions.set(client, tx)
  return tx
}

/** Kysely's PostgreSQL on a single connection, which is not kept waiting between statements. */
function dialectOver(client: PoolClient): Dialect {
  const connection = connectionOver(client)
  const outside = async () => {
    throw new Error('the transaction belongs to inPipelinedTransaction')
  }
  return {
    createAdapter: () => new PostgresAdapter(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
    createDriver: () => ({
      init: async () => {},
      acquireConnection: async () => connection,
      releaseConnection: async () => {},
      beginTransaction: outside,
      commitTransaction: outside,
      rollbackTransaction: outside,
      destroy: outside,
    }),
  }
}

/** A connection keeps what it has prepared, so only so many texts get a name. */
const preparedMax = 100

function connectionOver(client: PoolClient): DatabaseConnection {
  const names = new Map<string, string>()
  const nameOf = (text: string) => {
    if (!names.has(text) && names.size < preparedMax) names.set(text, `s${names.size}`)
    return names.get(text)
  }
  return {
    async executeQuery({ sql: text, parameters }) {
      const name = nameOf(text)
      const values = [...parameters]
      const { rows, rowCount } = await client.query(
        name === undefined ? { text, values } : { name, text, values },
      )
      return { rows, numAffectedRows: BigInt(rowCount ?? 0) }
    },
    async *streamQuery() {
      yield* []
      throw new Error('a pipelined connection cannot stream')
    },
  }
}
