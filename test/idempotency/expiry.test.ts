import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import type { Db } from '../../src/database/connect.ts'
import { expiredAnswers } from '../../src/idempotency/expiry.ts'
import { startSweeper } from '../../src/maintenance/sweeper.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const key = { 'idempotency-key': 'k' }
const minuteMs = 60_000
const log = { warn() {} }

t.test('an answer is kept for the retention time and no longer', async (t) => {
  const server = await startTestServer(t, { idempotencyRetentionMs: 60 * minuteMs })
  const table = await server.makeTable()
  const commit = (path: string) => server.commit(table, { actions: [add(path)] }, key)
  t.match(await commit('a'), { status: 201, body: { version: 1 } })
  await age(server.db, 59)
  t.match(await commit('a'), { status: 201, body: { version: 1 } })
  t.match(await commit('b'), { status: 422, body: { code: 'idempotency-key-reused' } })
  await age(server.db, 2)
  t.match(await commit('b'), { status: 201, body: { version: 2 } })
  t.match(await commit('b'), { status: 201, body: { version: 2 } }, 'which is kept in its turn')
  t.match(await commit('a'), { status: 422, body: { code: 'idempotency-key-reused' } })
})

t.test('answers that have outlived their time are swept, however many', async (t) => {
  const { db } = await startTestServer(t)
  await keep(db, 2500)
  await age(db, 61)
  await keep(db, 3)
  const sweeper = startSweeper(expiredAnswers(db, 60 * minuteMs), log)
  t.teardown(sweeper.stop)
  while ((await count(db)) > 3) await sleep(5)
  await sweeper.stop()
  t.equal(await count(db), 3)
})

t.test('the sweeper comes back for those that expire later', async (t) => {
  const { db } = await startTestServer(t)
  await keep(db, 1)
  const sweeper = startSweeper(expiredAnswers(db, 200), log)
  t.teardown(sweeper.stop)
  while ((await count(db)) > 0) await sleep(5)
  await keep(db, 1)
  while ((await count(db)) > 0) await sleep(5)
  t.equal(await count(db), 0)
})

t.test('a sweeper that cannot reach the database says so and goes on', async (t) => {
  const { db } = await startTestServer(t)
  await sql`alter table idempotency_keys rename to away`.execute(db)
  const { promise: warned, resolve } = Promise.withResolvers<string>()
  const warn = (_: object, message: string) => resolve(message)
  const sweeper = startSweeper(expiredAnswers(db, 50), { warn })
  t.teardown(sweeper.stop)
  t.match(await warned, 'could not be removed')
  await sql`alter table away rename to idempotency_keys`.execute(db)
  await keep(db, 1)
  while ((await count(db)) > 0) await sleep(5)
  t.equal(await count(db), 0)
})

/** Lets minutes pass for all answers. */
async function age(db: Db, minutes: number): Promise<void> {
  await sql`
    update idempotency_keys set created_at = created_at - ${minutes} * interval '1 minute'`.execute(
    db,
  )
}

async function keep(db: Db, answers: number): Promise<void> {
  await sql`
    insert into idempotency_keys (key, request_hash, status, headers, body)
    select gen_random_uuid(), '', 201, '{}', '' from generate_series(1, ${answers})`.execute(db)
}

async function count(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) from idempotency_keys`.execute(db)
  return rows[0]?.count ?? 0
}
