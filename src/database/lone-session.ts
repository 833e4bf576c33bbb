import { Kysely, PostgresDialect } from 'kysely'
import { createPool, type Db, type PoolOptions } from './connect.ts'
import type { DB as Database } from './types.ts'

/** One connection that is kept, because what it holds in PostgreSQL lives as long as it does. */
export interface LoneSession {
  /** All of its queries go over the connection. */
  db: Db
  /** Settles when the connection is over, in whatever way. */
  ended: Promise<void>
  /** Ends it, if it is not over yet, and waits for nobody: a PostgreSQL that hangs would not say good-bye. */
  end: () => void
}

/** Opens a connection to where a pool of these options would lead. */
export async function openLoneSession(
  options: Omit<PoolOptions, 'max' | 'min' | 'ageMsMax'>,
): Promise<LoneSession> {
  const pool = createPool({ ...options, max: 1 })
  try {
    const client = await pool.connect()
    const ended = Promise.withResolvers<void>()
    client.once('end', () => ended.resolve())
    client.once('error', () => ended.resolve())
    const query = client.query.bind(client)
    const connection = { query, release: () => {} }
    const lone = { connect: async () => connection, end: async () => {} }
    let isOver = false
    return {
      db: new Kysely<Database>({ dialect: new PostgresDialect({ pool: lone as never }) }),
      ended: ended.promise,
      end() {
        if (isOver) return
        isOver = true
        ended.resolve()
        client.release(true)
        pool.end().catch(() => {})
      },
    }
  } catch (error) {
    pool.end().catch(() => {})
    throw error
  }
}
