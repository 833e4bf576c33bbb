import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer, type TestServer } from '../support/server.ts'

const first = await startTestServer(t, {}, { mirror: false })
const second = await startTestServer(t, {}, { mirror: false, beside: first })
const servers = [first, second] as const
const serverOf = (client: number) => servers[client % 2] as TestServer

const acquire = (server: TestServer, name: string, holder: string, more: object = {}) =>
  server.post(`/locks/${name}/acquire`, { holder, ttlMs: 60_000, waitMs: 60_000, ...more })
const release = (server: TestServer, name: string, holder: string, token: number) =>
  server.post(`/locks/${name}/release`, { holder, token })

async function untilWaiting(name: string, count: number): Promise<void> {
  while ((await first.get(`/locks/${name}`)).body.numWaiters !== count) await sleep(5)
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index)

t.test(
  'of 32 clients at two servers one has the lock at a time, with tokens that rise',
  async (t) => {
    const turns = 2
    const tokens: number[] = []
    let inside = 0
    let most = 0
    const work = async (client: number) => {
      const server = serverOf(client)
      for (let turn = 0; turn < turns; turn += 1) {
        const { status, body } = await acquire(server, 'one', `c${client}`)
        if (status !== 200) throw new Error(JSON.stringify(body))
        inside += 1
        most = Math.max(most, inside)
        tokens.push(body.token)
        await sleep(0)
        inside -= 1
        const released = await release(server, 'one', `c${client}`, body.token)
        if (released.status !== 200) throw new Error(released.text)
      }
    }
    await Promise.all(range(32).map(work))
    t.equal(most, 1)
    t.strictSame(
      tokens,
      range(32 * turns).map((index) => index + 1),
    )
  },
)

t.test('many locks of many clients go on at once', async (t) => {
  const work = async (client: number) => {
    const answers: number[] = []
    for (const name of ['p', 'q', 'r', 's']) {
      const { body } = await acquire(serverOf(client), `many-${name}`, `c${client}`)
      answers.push(
        (await release(serverOf(client), `many-${name}`, `c${client}`, body.token)).status,
      )
    }
    return answers
  }
  const answers = await Promise.all(range(16).map(work))
  t.strictSame(new Set(answers.flat()), new Set([200]))
})

t.test('a hundred who wait get the lock in order', async (t) => {
  const holder = await acquire(first, 'fair', 'first')
  const order: number[] = []
  const waits: Promise<void>[] = []
  for (const client of range(100)) {
    const server = serverOf(client)
    const wait = acquire(server, 'fair', `c${client}`).then(async ({ body }) => {
      order.push(client)
      await release(server, 'fair', `c${client}`, body.token)
    })
    waits.push(wait)
    // Each stands in the line before the next one comes.
    if (client % 10 === 9) await untilWaiting('fair', client + 1)
    else await untilNoted(client + 1)
  }
  await release(first, 'fair', 'first', holder.body.token)
  await Promise.all(waits)
  t.strictSame(order, range(100))
})

async function untilNoted(count: number): Promise<void> {
  const noted = async () => {
    const { rows } = await sql<{ count: number }>`
      select count(*) from lock_waits w join locks l on l.id = w.lock_id
      where l.name = 'fair'`.execute(first.db)
    return rows[0]?.count
  }
  while ((await noted()) !== count) await sleep(1)
}

t.test('a flood of those who share a lock does not keep out one who wants it alone', async (t) => {
  const shared = { mode: 'shared' }
  let isOver = false
  const flood = async (client: number) => {
    const server = serverOf(client)
    for (let turn = 0; !isOver; turn += 1) {
      const holder = `c${client}-${turn}`
      const { body } = await acquire(server, 'flood', holder, shared)
      await sleep(5)
      await release(server, 'flood', holder, body.token)
    }
  }
  const floods = range(8).map(flood)
  await sleep(50)
  for (const turn of range(3)) {
    const { status, body } = await acquire(second, 'flood', `writer-${turn}`)
    t.equal(status, 200)
    const { body: seen } = await first.get('/locks/flood')
    t.strictSame(
      seen.holders.map((one: { holder: string }) => one.holder),
      [`writer-${turn}`],
    )
    await release(second, 'flood', `writer-${turn}`, body.token)
  }
  isOver = true
  await Promise.all(floods)
})

t.test('a lock that a write holds up waits alone', async (t) => {
  const { body } = await acquire(first, 'guarded', 'a')
  const guard = await first.pool.connect()
  await guard.query("begin; select from locks where name = 'guarded' for share")
  const blocked = release(first, 'guarded', 'a', body.token)
  const other = await acquire(first, 'beside', 'a')
  t.equal(other.status, 200)
  const renewed = await first.post('/locks/guarded/renew', { holder: 'a', token: body.token })
  t.equal(renewed.status, 200, 'a lease is renewed meanwhile')
  await guard.query('commit')
  guard.release()
  t.equal((await blocked).status, 200)
})

t.test('a renewal and an expiry leave one holder', async (t) => {
  for (const turn of range(8)) {
    const name = `edge-${turn}`
    const { body } = await acquire(first, name, 'a', { ttlMs: 100 })
    const other = acquire(second, name, 'b')
    await sleep(80 + turn * 5)
    const renewed = await first.post(`/locks/${name}/renew`, { holder: 'a', token: body.token })
    if (renewed.status === 200) {
      const { body: seen } = await first.get(`/locks/${name}`)
      t.strictSame(seen.holders.map((one: { holder: string }) => one.holder).slice(0, 1), ['a'])
      await release(first, name, 'a', body.token)
    }
    const granted = await other
    t.ok(granted.body.token > body.token)
  }
})
