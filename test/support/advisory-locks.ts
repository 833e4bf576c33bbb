import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Connection } from '../../src/database/connect.ts'
import { type LoneSession, openLoneSession } from '../../src/database/lone-session.ts'
import type { AdvisoryLock } from '../../src/locks/advisory/rules.ts'
import { type AdvisorySession, createAdvisorySession } from '../../src/locks/advisory/session.ts'

/** A lock that one holder has alone. */
export const one = (key: number | bigint): AdvisoryLock => ({ key: BigInt(key), mode: 'exclusive' })
/** A lock that several may have. */
export const shared = (key: number | bigint): AdvisoryLock => ({ key: BigInt(key), mode: 'shared' })

/** A session of advisory locks, and what it was told of losses. */
export interface WatchedSession extends AdvisorySession {
  lost: AdvisoryLock[][]
  /** The process of PostgreSQL. */
  pid: () => number
}

/** Starts a session that leads to a database, or is opened in another way. */
export async function startAdvisorySession(
  to: Connection | (() => Promise<LoneSession>),
  { heartbeatMs = 60_000 } = {},
): Promise<WatchedSession> {
  const lost: AdvisoryLock[][] = []
  const session = createAdvisorySession({
    open: typeof to === 'function' ? to : () => openTo(to),
    heartbeatMs,
    onLost: (locks) => lost.push([...locks]),
    log: { warn() {} },
  })
  await session.start()
  const pid = () => {
    const now = session.status()
    if (now.state !== 'open') throw new Error(`the session is ${now.state}`)
    return now.pid
  }
  return { ...session, lost, pid }
}

function openTo(connection: Connection): Promise<LoneSession> {
  const waits = { waitMsMax: 5000, lockMsMax: 5000, statementMsMax: 5000 }
  return openLoneSession({ connection, ...waits, pipeline: false, onError: () => {} })
}

/** The keys that a process of PostgreSQL holds, and how. */
export async function listAdvisoryLocks(psql: pg.Client, pid: number): Promise<[number, string][]> {
  const { rows } = await psql.query(
    `select classid::bigint << 32 | objid::bigint as key, mode from pg_locks
     where locktype = 'advisory' and pid = $1 order by 1`,
    [pid],
  )
  return rows.map(({ key, mode }) => [Number(key), mode])
}

/** Resolves once it holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}
