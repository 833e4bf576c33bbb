import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import { countsAs, holderColumns, ms, waitColumns } from './queries.ts'
import type { Holder, LockName, Waiting } from './rows.ts'

/** A lock with the first of those who have it and of those who wait for it. */
export interface LockState extends LockName {
  id: number
  token: number
  delayedUntil: number | null
  lastEvent: number
  numHolders: number
  numWaiters: number
  holders: Holder[]
  waiters: Waiting[]
  /** Epoch milliseconds by the clock of the database. */
  now: number
}

/** A lock, if anybody has ever had it. */
export async function findLock(db: Db, { kind, name }: LockName): Promise<LockState | undefined> {
  const [found] = await listStates(db, sql`l.kind = ${kind} and l.name = ${name}`, 1)
  return found
}

/** Locks that somebody has or waits for, by name. */
export function listHeld(
  db: Db,
  kind: LockName['kind'],
  { after, limit }: { after: string | undefined; limit: number },
): Promise<LockState[]> {
  const isHeld = sql`l.kind = ${kind} and l.name > ${after ?? ''}
    and (exists (select from ${holders}) or exists (select from ${waits}))`
  return listStates(db, isHeld, limit)
}

const holders = sql`lock_holders h where h.lock_id = l.id and h.expires_at > clock_timestamp()`
const waits = sql`lock_waits w where w.lock_id = l.id and ${countsAs(sql`w`)}`
const shownMax = 100

async function listStates(db: Db, which: RawBuilder<unknown>, limit: number): Promise<LockState[]> {
  const { rows } = await sql<LockState & { holders: string; waiters: string }>`
    select l.id, l.kind, l.name, l.token, ${ms(sql`l.delayed_until`)} as "delayedUntil",
      l.last_event as "lastEvent", ${ms(sql`clock_timestamp()`)} as now,
      (select count(*) from ${holders}) as "numHolders",
      (select count(*) from ${waits}) as "numWaiters",
      (select coalesce(json_agg(row_to_json(one)), '[]') from (
        select ${holderColumns} from ${holders} order by h.token limit ${shownMax}
      ) as one) as holders,
      (select coalesce(json_agg(row_to_json(one)), '[]') from (
        select ${waitColumns} from ${waits} order by w.priority desc, w.place limit ${shownMax}
      ) as one) as waiters
    from locks l where ${which}
    order by l.name limit ${limit}`.execute(db)
  return rows.map(({ holders, waiters, ...lock }) => ({
    ...lock,
    holders: JSON.parse(holders),
    waiters: JSON.parse(waiters),
  }))
}
