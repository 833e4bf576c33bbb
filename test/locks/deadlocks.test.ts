import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startTestServer, type TestServer } from '../support/server.ts'

const first = await startTestServer(t, {}, { mirror: false })
const second = await startTestServer(t, {}, { mirror: false, beside: first })

const acquire = (server: TestServer, name: string, holder: string, more: object = {}) =>
  server.post(`/locks/${name}/acquire`, { holder, ttlMs: 60_000, ...more })
const waiting = { waitMs: 30_000 }

async function untilWaiting(name: string, count: number): Promise<void> {
  while ((await first.get(`/locks/${name}`)).body.numWaiters !== count) await sleep(5)
}

async function begin(t: Test, priority: number): Promise<string> {
  const { status, body } = await first.post('/transactions', { priority })
  t.equal(status, 201)
  return body.id
}

t.test(
  'of two that wait for each other the younger gives way, and keeps what it has',
  async (t) => {
    const a = await acquire(first, 'two-a', 'a')
    await acquire(second, 'two-b', 'b')
    const aWaits = acquire(first, 'two-b', 'a', waiting)
    await untilWaiting('two-b', 1)
    const refused = await acquire(second, 'two-a', 'b', waiting)
    t.match(refused, {
      status: 409,
      body: {
        code: 'deadlock',
        cycle: [
          { holder: 'b', lock: 'two-a', priority: 0, waitingSince: /Z$/ },
          { holder: 'a', lock: 'two-b' },
        ],
      },
    })
    const held = await first.get('/locks/two-b')
    t.match(held.body, { holders: [{ holder: 'b' }], numWaiters: 1 })
    await first.post('/locks/two-b/release', { holder: 'b', token: held.body.token })
    t.equal((await aWaits).status, 200)
    await first.post('/locks/two-a/release', { holder: 'a', token: a.body.token })
  },
)

t.test('of three the one of the lowest priority gives way, at whatever server', async (t) => {
  for (const name of ['x', 'y', 'z']) await acquire(first, `three-${name}`, name)
  const x = acquire(second, 'three-y', 'x', { ...waiting, priority: 1 })
  await untilWaiting('three-y', 1)
  const y = acquire(first, 'three-z', 'y', { ...waiting, priority: 5 })
  await untilWaiting('three-z', 1)
  const z = acquire(first, 'three-x', 'z', { ...waiting, priority: 5 })
  t.match(await x, { status: 409, body: { code: 'deadlock', cycle: { length: 3 } } })
  const { body } = await first.get('/locks/three-x')
  await first.post('/locks/three-x/release', { holder: 'x', token: body.token })
  t.equal((await z).status, 200)
  await first.call('DELETE', '/locks/three-z')
  t.equal((await y).status, 200)
})

t.test('the line for a lock is part of the circle', async (t) => {
  await acquire(first, 'line-l', 'reader', { mode: 'shared' })
  await acquire(first, 'line-m', 'late')
  const writer = acquire(first, 'line-l', 'writer', waiting)
  await untilWaiting('line-l', 1)
  const late = acquire(second, 'line-l', 'late', { ...waiting, mode: 'shared' })
  await untilWaiting('line-l', 2)
  // It waits for one who stands behind the writer, who waits for it.
  const reader = await acquire(first, 'line-m', 'reader', waiting)
  t.match(reader, { status: 409, body: { code: 'deadlock', cycle: { length: 3 } } })
  const { body } = await first.get('/locks/line-l')
  await first.post('/locks/line-l/release', { holder: 'reader', token: body.token })
  const { body: granted } = await writer
  await first.post('/locks/line-l/release', { holder: 'writer', token: granted.token })
  t.equal((await late).status, 200)
})

t.test('reservations of tables and locks are one graph', async (t) => {
  const table = await first.makeTable()
  const [low, high] = [await begin(t, 0), await begin(t, 9)]
  await first.post(`/transactions/${low}/reserve`, { tables: [table] })
  await acquire(first, 'mixed', high)
  const reserving = second.post(`/transactions/${high}/reserve`, { tables: [table], ...waiting })
  await sleep(50)
  const refused = await acquire(first, 'mixed', low, waiting)
  t.match(refused, {
    status: 409,
    body: {
      code: 'deadlock',
      cycle: [
        { holder: low, lock: 'mixed' },
        { transactionId: high, tableId: table },
      ],
    },
  })
  await first.call('DELETE', `/transactions/${low}`)
  await first.post(`/transactions/${low}/rollback`)
  t.equal((await reserving).status, 200)
})

t.test('a transaction gives way too', async (t) => {
  const table = await first.makeTable()
  const [low, high] = [await begin(t, 0), await begin(t, 9)]
  await first.post(`/transactions/${high}/reserve`, { tables: [table] })
  await acquire(first, 'mixed-2', low)
  const other = acquire(first, 'mixed-2', high, { ...waiting, priority: 5 })
  await untilWaiting('mixed-2', 1)
  const refused = await second.post(`/transactions/${low}/reserve`, { tables: [table], ...waiting })
  t.match(refused, {
    status: 409,
    body: { code: 'deadlock', transactionId: low, cycle: { length: 2 }, detail: /mixed-2/ },
  })
  await first.call('DELETE', '/locks/mixed-2')
  t.equal((await other).status, 200)
})

t.test('those who only wait in a line end nothing', async (t) => {
  const { body } = await acquire(first, 'calm', 'a')
  const waits = ['b', 'c', 'd'].map((holder) => acquire(first, 'calm', holder, waiting))
  await untilWaiting('calm', 3)
  await sleep(100)
  await first.post('/locks/calm/release', { holder: 'a', token: body.token })
  const { body: granted } = await Promise.race(waits)
  t.equal(granted.name, 'calm')
  await first.call('DELETE', '/locks/calm')
  await first.call('DELETE', '/locks/calm')
  await first.call('DELETE', '/locks/calm')
  t.strictSame(
    (await Promise.all(waits)).map(({ status }) => status),
    [200, 200, 200],
  )
})

t.test('deadlocks are counted and logged', async (t) => {
  const texts = await Promise.all([first, second].map(({ get }) => get('/metrics')))
  const counts = texts.map(({ text }) =>
    Number(/^deltaworks_lock_deadlocks_total (\d+)/m.exec(text)?.[1]),
  )
  const logged = [first, second].map(
    ({ logged }) => logged.filter(({ msg }) => /a deadlock over locks/.test(String(msg))).length,
  )
  t.strictSame(logged, counts)
  t.ok(counts.reduce((sum, one) => sum + one, 0) >= 5)
})
