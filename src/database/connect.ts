import { Kysely, PostgresDialect, type Transaction } from 'kysely'
import pg from 'pg'
import { CarefulPool, keepMinimum } from './careful-pool.ts'
import { Route, type Way } from './route.ts'
import type { DB as Database } from './types.ts'

/** Reads: any connection will do. */
export type Db = Kysely<Database>
/** Writes: what locks or changes rows takes a `Tx`, so that calling it outside a transaction does not compile. */
export type Tx = Transaction<Database>

/** Where PostgreSQL is: one way to it, or a route that knows the way. */
export type Connection = Way | Route

const oid = { int8: 20, json: 114, timestamptz: 1184, xid8: 5069 }

/**
 * How values arrive: a bigint column as a number where that is exact and as a bigint where not, JSON as its
 * own text (an action keeps every token), instants as RFC 3339.
 */
function parserOf(type: number): (text: string) => unknown {
  switch (type) {
    case oid.int8:
      return toLong
    case oid.json:
    case oid.xid8:
      return (text) => text
    case oid.timestamptz:
      return (text) => new Date(text).toISOString()
    default:
      return pg.types.getTypeParser(type)
  }
}

function toLong(text: string): number | bigint {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : BigInt(text)
}

/** Settings of a pool. A longer wait for a connection, a lock or a statement ends with an error. */
export interface PoolOptions {
  connection: Connection
  max: number
  /** So many are kept open, whether they are used or not; none by default. */
  min?: number
  waitMsMax: number
  /** Beyond the minimum, a connection that was not used for so long is closed; after 10 s by default. */
  idleMsMax?: number
  /** A connection so old is closed as soon as nobody uses it; never by default. */
  ageMsMax?: number | undefined
  /** Whether a connection is asked, before it is used again, if it is still there. */
  testsOnAcquire?: boolean
  lockMsMax: number
  statementMsMax: number
  /** A transaction that does nothing for so long is ended; by default as a statement is. */
  idleTransactionMsMax?: number
  /** Whether statements may be sent before the one ahead has its answer; COPY cannot be among them. */
  pipeline?: boolean
  onError: (error: Error) => void
}

export type Pool = pg.Pool

/** A pool of connections; none is opened before it is needed, but for a minimum. */
export function createPool(options: PoolOptions): Pool {
  const { connection, min = 0, testsOnAcquire = false, onError } = options
  const isCareful = connection instanceof Route || testsOnAcquire
  const pool = isCareful
    ? new CarefulPool(settingsOf(options), { connection, testsOnAcquire })
    : new pg.Pool({ ...settingsOf(options), ...connection })
  // A query that is under way tells of the loss itself, but without a listener the process would end.
  pool.on('connect', (client) => client.on('error', () => {}))
  // The pool hangs the client with all its settings on the error, which must not reach a log.
  pool.on('error', (error) => onError(Object.assign(error, { client: undefined })))
  keepMinimum(pool, min)
  return pool
}

function settingsOf(options: PoolOptions): pg.PoolConfig {
  const { max, min = 0, idleMsMax = 10_000, ageMsMax = 0, pipeline = true } = options
  return {
    max,
    min,
    idleTimeoutMillis: idleMsMax,
    maxLifetimeSeconds: ageMsMax / 1000,
    pipeline,
    application_name: 'deltaworks',
    connectionTimeoutMillis: options.waitMsMax,
    lock_timeout: options.lockMsMax,
    statement_timeout: options.statementMsMax,
    idle_in_transaction_session_timeout: options.idleTransactionMsMax ?? options.statementMsMax,
    keepAlive: true,
    types: { getTypeParser: (type: number) => parserOf(type) } as pg.CustomTypesConfig,
  }
}

/** Queries over a pool. Destroying it ends the pool. */
export function createDb(pool: Pool): Db {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}
