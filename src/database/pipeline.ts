import type { Writable } from 'node:stream'
import {
  type CompiledQuery,
  DefaultQueryExecutor,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import type { PoolClient } from 'pg'
import { type ArrayElement, arrayText } from './array-text.ts'
import type { Pool, Tx } from './connect.ts'
import { consistencyTokenQuery, readToken } from './consistency-token.ts'
import type { DB as Database } from './types.ts'

/** What comes of the work of a pipelined transaction: its result, and the last statements, still under way. */
export interface PipelinedWork<Result> {
  result: Result
  writes: readonly Promise<unknown>[]
}

/** What came of a pipelined transaction that has committed. */
export interface Committed<Result> {
  result: Result
  /** Stands for what the transaction wrote and what it saw. Undefined when the connection broke right behind it. */
  consistencyToken: string | undefined
}

/**
 * Runs `work` in one PostgreSQL transaction at READ COMMITTED, on a pool with `pipeline`. Statements that are
 * issued without waiting for each other travel together, and run in their order; so do the last writes, the
 * commit and the query for the token. Statements are prepared once for each connection. It rolls back when `work`
 * or a write fails.
 *
 * What `work` issues before it has awaited any answer must only read and lock: if the transaction cannot begin,
 * PostgreSQL runs those statements each by itself.
 */
export async function inPipelinedTransaction<Result>(
  pool: Pool,
  work: (tx: Tx) => Promise<PipelinedWork<Result>>,
  settings: PipelineSettings = {},
): Promise<Committed<Result>> {
  return onConnection(pool, async (client) => {
    const begun = client.query(beginning(settings))
    const tx = transactionOver(client, begun, settings)
    const [{ result, writes }] = await Promise.all([work(tx), begun])
    const { committing, token } = commit(client)
    const [ended] = await Promise.all([committing, ...writes])
    refuseRolledBack(ended)
    return { result, consistencyToken: await token }
  })
}

/**
 * Runs one statement in a transaction of its own at READ COMMITTED, on a pool with `pipeline`: all that it takes travels
 * together, so that it costs one journey. It is prepared and planned as those of `inPipelinedTransaction`.
 */
export async function inOneJourney<Result>(
  pool: Pool,
  issue: (tx: Tx) => Promise<Result>,
): Promise<Committed<Result>> {
  return onConnection(pool, async (client) => {
    const { answered, committing, token } = inOnePacket(client, () => {
      const begun = client.query(begin)
      return { answered: issue(transactionOver(client, begun, {})), ...commit(client) }
    })
    const [result, ended] = await Promise.all([answered, committing])
    refuseRolledBack(ended)
    return { result, consistencyToken: await token }
  })
}

/** Does work on a connection of its own, and rolls back what it leaves when it fails. */
async function onConnection<Result>(
  pool: Pool,
  work: (client: PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    return await work(client)
  } catch (error) {
    await client.query('rollback').catch((cause) => {
      broken = cause
    })
    throw error
  } finally {
    client.release(broken)
  }
}

/** Sends the commit, and the query for the token behind it. */
function commit(client: PoolClient) {
  const committing = client.query('commit')
  return { committing, token: readToken(client.query(consistencyTokenQuery)) }
}

function refuseRolledBack({ command }: { command: string }): void {
  if (command !== 'COMMIT') throw new Error('PostgreSQL has rolled the transaction back')
}

/** Has all that is sent meanwhile go to PostgreSQL by one call of the system. */
function inOnePacket<Result>(client: PoolClient, send: () => Result): Result {
  const { stream } = (client as unknown as { connection: { stream: Writable } }).connection
  stream.cork()
  try {
    return send()
  } finally {
    stream.uncork()
  }
}

/** What is special about a transaction. */
export interface PipelineSettings {
  /**
   * For statements over many rows: the time that each may take. They are planned each by itself, and not prepared;
   * a table is read whole only where there is no other way.
   */
  bulkMsMax?: number
}

function beginning({ bulkMsMax }: PipelineSettings): string {
  if (bulkMsMax === undefined) return begin
  return `begin isolation level read committed; set local enable_seqscan = off; set local statement_timeout = ${Math.trunc(bulkMsMax)}`
}

/**
 * Plans are kept for as long as the connection is, often from a time when a table was empty and reading it whole
 * the best way. All that is looked up here is looked up by key, so the plans may do nothing else.
 */
const begin = `begin isolation level read committed;
  set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off`

const executors = new WeakMap<PoolClient, EagerExecutor>()

/** The queries of one connection, on which a transaction is being begun, so that they may do what takes a `Tx`. */
function transactionOver(
  client: PoolClient,
  begun: Promise<unknown>,
  { bulkMsMax }: PipelineSettings,
): Tx {
  const isBulk = bulkMsMax !== undefined
  const executor =
    (isBulk ? undefined : executors.get(client)) ?? new EagerExecutor(client, !isBulk)
  if (!isBulk) executors.set(client, executor)
  executor.begun = begun
  const dialect = new PostgresDialect({ pool: async () => Promise.reject(belongsToOne) })
  const driver = new DummyDriver()
  return new Kysely<Database>({ config: { dialect }, dialect, driver, executor }) as unknown as Tx
}

const belongsToOne = new Error('the queries of a pipelined transaction belong to its connection')

/** A connection keeps what it has prepared, so only so many texts get a name. */
const preparedMax = 100

/**
 * Sends a statement in the call that issues it, not some promises later: what is issued first is first on the
 * wire, and the commit is last.
 */
class EagerExecutor extends DefaultQueryExecutor {
  /** Settles when the present transaction has begun. No answer is given to a statement outside it. */
  begun: Promise<unknown> = Promise.resolve()
  readonly #client: PoolClient
  readonly #prepares: boolean
  readonly #names = new Map<string, string>()

  constructor(client: PoolClient, prepares: boolean) {
    super(new PostgresQueryCompiler(), new PostgresAdapter(), {
      provideConnection: () => Promise.reject(belongsToOne),
    })
    this.#client = client
    this.#prepares = prepares
  }

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { sql: text, parameters } = query
    const name = this.#nameOf(text)
    const values = parameters.map(toWire)
    const answered = this.#client.query(
      name === undefined ? { text, values } : { name, text, values },
    )
    return Promise.all([answered, this.begun]).then(([{ rows, rowCount }]) => ({
      rows,
      numAffectedRows: BigInt(rowCount ?? 0),
    }))
  }

  #nameOf(text: string): string | undefined {
    if (!this.#prepares) return undefined
    if (!this.#names.has(text) && this.#names.size < preparedMax) {
      this.#names.set(text, `s${this.#names.size}`)
    }
    return this.#names.get(text)
  }
}

function toWire(parameter: unknown): unknown {
  return Array.isArray(parameter) ? arrayText(parameter as ArrayElement[]) : parameter
}
