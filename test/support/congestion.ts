import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { Test } from 'tap'
import type { Api } from './api.ts'
import type { TestDatabase } from './postgres.ts'

/** A session that holds the locks of all tables. */
export async function lockTables(t: Test, database: TestDatabase): Promise<pg.Client> {
  const locker = new pg.Client(database.url)
  await locker.connect()
  t.teardown(() => locker.end())
  await locker.query('begin; select * from tables for update')
  return locker
}

/** Resolves when somebody waits for a lock. */
export async function untilBlocked(locker: pg.Client): Promise<void> {
  const waiting = `select from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`
  // A transaction sees the other sessions as they were when it first looked, until it is told to look anew.
  while ((await locker.query(waiting)).rowCount === 0) {
    await sleep(5)
    await locker.query('select pg_stat_clear_snapshot()')
  }
}

/** Resolves when that many commits are under way, in a batch or waiting for one. */
export async function untilUnderWay(server: Api, count: number): Promise<void> {
  for (;;) {
    const { text } = await server.get('/metrics')
    const gauges = text.matchAll(/^deltaworks_commit_(?:queue|in_flight)_units (\d+)$/gm)
    if ([...gauges].reduce((sum, [, units]) => sum + Number(units), 0) === count) return
    await sleep(5)
  }
}
