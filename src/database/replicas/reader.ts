import type { Readable } from 'node:stream'
import {
  type CompiledQuery,
  DefaultQueryExecutor,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresDialect,
  PostgresQueryCompiler,
  type QueryResult,
  type RawBuilder,
} from 'kysely'
import type { Db, Pool } from '../connect.ts'
import { openCopy } from '../copy-out.ts'
import { isStatementTimeout } from '../sqlstate.ts'
import type { DB as Database } from '../types.ts'
import type { ReplicaLine } from './replica.ts'
import type { Replicas } from './replicas.ts'
import type { ReadWish } from './rules.ts'

/** What one request reads with. */
export interface Reader {
  db: Db
  /** Opens the rows of a query for `copyOut` as lines. */
  openRows: (query: RawBuilder<unknown>) => Promise<Readable>
  /** Where all that was read so far was read; the primary if something of it was. */
  servedBy: () => 'primary' | 'replica'
}

/** Gives each request what it reads with. */
export interface Readers {
  primary: Reader
  /** Of one that may be answered by a replica; which one is chosen when it first reads. */
  forWish: (wish: ReadWish) => Reader
}

export interface ReadersOptions {
  db: Db
  copyPool: Pool
  replicas: Replicas
  /** Told of each read that failed on a replica and is repeated on the primary. */
  onRepeat: () => void
}

export function createReaders({ db, copyPool, replicas, onRepeat }: ReadersOptions): Readers {
  const primary: Reader = {
    db,
    openRows: (query) => openCopy(copyPool, query),
    servedBy: () => 'primary',
  }

  function forWish(wish: ReadWish): Reader {
    /** Settles with the replica; once the primary has answered, there is no way back to an older view. */
    let line: Promise<ReplicaLine | undefined> | undefined
    let hasReadReplica = false
    let isOnPrimary = false

    async function read<Result>(
      onReplica: (line: ReplicaLine) => Promise<Result>,
      onPrimary: () => Promise<Result>,
    ): Promise<Result> {
      line ??= replicas.choose(wish)
      const chosen = await line
      if (chosen !== undefined && !isOnPrimary) {
        try {
          const result = await untilLost(chosen.lost, onReplica(chosen))
          hasReadReplica = true
          return result
        } catch (error) {
          // Whatever else is wrong there, the primary knows.
          if (isStatementTimeout(error)) throw error
          onRepeat()
        }
      }
      isOnPrimary = true
      return onPrimary()
    }

    return {
      db: overExecutor((query) =>
        read(
          (chosen) => chosen.db.getExecutor().executeQuery(query),
          () => db.getExecutor().executeQuery(query),
        ),
      ),
      openRows: (query) =>
        read(
          async (chosen) => endWith(chosen.lost, await openCopy(chosen.copyPool, query)),
          () => openCopy(copyPool, query),
        ),
      servedBy: () => (hasReadReplica && !isOnPrimary ? 'replica' : 'primary'),
    }
  }

  return { primary, forWish }
}

/** Fails as soon as the replica is given up, for its answer may never come. */
async function untilLost<Result>(lost: AbortSignal, work: Promise<Result>): Promise<Result> {
  const { promise, reject } = Promise.withResolvers<never>()
  const give = () => reject(lost.reason)
  lost.addEventListener('abort', give, { once: true })
  if (lost.aborted) give()
  try {
    return await Promise.race([work, promise])
  } finally {
    lost.removeEventListener('abort', give)
  }
}

/** Breaks the rows off once the replica is given up. */
function endWith(lost: AbortSignal, rows: Readable): Readable {
  const end = () => rows.destroy(lost.reason)
  if (lost.aborted) end()
  lost.addEventListener('abort', end, { once: true })
  rows.once('close', () => lost.removeEventListener('abort', end))
  return rows
}

type Execute = (query: CompiledQuery) => Promise<QueryResult<unknown>>

function overExecutor(execute: Execute): Db {
  const dialect = new PostgresDialect({ pool: async () => Promise.reject(readsOnly) })
  const executor = new ReadExecutor(execute)
  return new Kysely<Database>({
    config: { dialect },
    dialect,
    driver: new DummyDriver(),
    executor,
  })
}

const readsOnly = new Error('what a request reads with has no transactions')

class ReadExecutor extends DefaultQueryExecutor {
  readonly #execute: Execute

  constructor(execute: Execute) {
    super(new PostgresQueryCompiler(), new PostgresAdapter(), {
      provideConnection: () => Promise.reject(readsOnly),
    })
    this.#execute = execute
  }

  override executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    return this.#execute(query) as Promise<QueryResult<Row>>
  }
}
