import { sql } from 'kysely'
import type { Db } from '../../src/database/connect.ts'

/** Who is to hold a lock; where nothing else is said for a minute, alone. */
export interface Holding {
  kind?: 'lock' | 'election'
  name: string
  holder?: string
  mode?: 'exclusive' | 'shared'
  /** May be below 0. */
  ttlMs?: number
}

/** Grants a lock as its routes do, over others that hold it alone; answers the token. */
export async function grant(
  db: Db,
  { kind = 'lock', name, holder = 'a', mode = 'exclusive', ttlMs = 60_000 }: Holding,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ id: number; token: number }>`
      insert into locks (kind, name, token) values (${kind}, ${name}, 1)
      on conflict (kind, name) do update set token = locks.token + 1
      returning id, token`.execute(tx)
    const { id = 0, token = 0 } = rows[0] ?? {}
    await sql`
      delete from lock_holders
      where lock_id = ${id} and (mode = 'exclusive' or ${mode} = 'exclusive')`.execute(tx)
    await sql`
      insert into lock_holders (lock_id, holder, mode, token, ttl_ms, granted_at, expires_at)
      values (${id}, ${holder}, ${mode}, ${token}, ${Math.max(ttlMs, 1)}, clock_timestamp(),
        clock_timestamp() + ${ttlMs} * interval '1 ms')`.execute(tx)
    return token
  })
}

/** Takes a lock from all who hold it. */
export async function release(db: Db, name: string): Promise<void> {
  await sql`
    delete from lock_holders using locks where lock_id = id and name = ${name}`.execute(db)
}
