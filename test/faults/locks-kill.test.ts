import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'

t.setTimeout(120_000)

const database = await createTestDatabase()
t.teardown(() => database.drop())
const settings = {
  DATABASE_URL: database.url,
  DATA_DIR: await makeDataDir(t),
  LOCK_WAITER_ALIVE_MS: '1000',
}
const survivor = await startServerProcess(t, settings)

const acquire = (server: typeof survivor, holder: string, waitMs = 60_000) =>
  server.post('/locks/one/acquire', { holder, ttlMs: 60_000, waitMs })

async function untilWaiting(count: number): Promise<void> {
  while ((await survivor.get('/locks/one')).body.numWaiters !== count) await sleep(10)
}

t.test('who waits at a server that is killed is passed over', async (t) => {
  const victim = await startServerProcess(t, settings)
  const { body } = await acquire(survivor, 'a')
  const lost = Array.from({ length: 5 }, (_, index) => acquire(victim, `lost-${index}`))
  const ended = Promise.allSettled(lost)
  await untilWaiting(5)
  const next = acquire(survivor, 'next')
  await untilWaiting(6)
  await victim.kill()
  t.ok((await ended).every(({ status }) => status === 'rejected'))
  await untilWaiting(1)
  await survivor.post('/locks/one/release', { holder: 'a', token: body.token })
  const granted = await next
  t.match(granted, { status: 200, body: { holder: 'next', token: body.token + 1 } })
  await survivor.post('/locks/one/release', { holder: 'next', token: granted.body.token })
})

t.test('a lock that was granted by a server that is killed is held on', async (t) => {
  const victim = await startServerProcess(t, settings)
  const { body } = await acquire(victim, 'a')
  await victim.kill()
  t.equal((await acquire(survivor, 'b', 0)).status, 409)
  const renewed = await survivor.post('/locks/one/renew', { holder: 'a', token: body.token })
  t.equal(renewed.status, 200)
  const again = await acquire(survivor, 'a')
  t.equal(again.body.token, body.token)
})

t.test('a server that stops ends the waits', async (t) => {
  const stopping = await startServerProcess(t, settings)
  const waiting = acquire(stopping, 'c')
  await untilWaiting(1)
  const exit = stopping.stop()
  t.match(await waiting, { status: 429, body: { code: 'overloaded', detail: /server stops/ } })
  t.equal((await exit).code, 0)
  await untilWaiting(0)
})
