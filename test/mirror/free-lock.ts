import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { TestServer } from '../support/server.ts'

/** Waits until PostgreSQL has noticed that a killed publisher is gone, and no mirror is locked. */
export async function freeLock({ db }: Pick<TestServer, 'db'>): Promise<void> {
  for (;;) {
    const { rows: all } = await sql`select from mirrors`.execute(db)
    const { rows: free } = await sql`select from mirrors for update skip locked`.execute(db)
    if (free.length === all.length) return
    await sleep(10)
  }
}
