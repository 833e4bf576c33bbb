import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { openStream } from '../support/event-stream.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const beside = await startTestServer(t, {}, { mirror: false, beside: server })
const { get, post, db } = server

type Ask = Record<string, unknown>
const acquire = (name: string, holder: string, more: Ask = {}, at = server) =>
  at.post(`/locks/${name}/acquire`, { holder, ttlMs: 60_000, ...more })
const release = (name: string, holder: string, token: number, at = server) =>
  at.post(`/locks/${name}/release`, { holder, token })
const renew = (name: string, holder: string, token: number, more: Ask = {}) =>
  post(`/locks/${name}/renew`, { holder, token, ...more })
const force = (name: string) => server.call('DELETE', `/locks/${name}`)

/** Has the leases of a lock run out. */
async function runOut(name: string): Promise<void> {
  await sql`
    with changed as (
      update locks set revision = revision + 1 where name = ${name} returning id
    )
    update lock_holders set expires_at = clock_timestamp() - interval '1 ms'
    where lock_id = (select id from changed)`.execute(db)
}

/** Waits until so many wait for a lock. */
async function untilWaiting(name: string, count: number): Promise<void> {
  for (;;) {
    const { body } = await get(`/locks/${name}`)
    if (body.numWaiters === count) return
    await sleep(5)
  }
}

/** What happened to a lock, in order. */
async function eventsOf(name: string): Promise<string[]> {
  const { rows } = await sql<{ text: string; event: number }>`
    select e.event, e.kind || ' ' || (e.payload ->> 'holder') as text
    from events e join locks l on e.topic = l.kind and e.subject_id = l.id
    where l.name = ${name} order by e.event`.execute(db)
  t.strictSame(
    rows.map(({ event }) => event),
    rows.map((_, index) => index + 1),
    'events have numbers without a gap',
  )
  return rows.map(({ text }) => text)
}

t.test('a lock is had by one, with a token that rises', async (t) => {
  const first = await acquire('plain', 'a', { metadata: { big: 1 } })
  t.match(first, { status: 200, body: { name: 'plain', holder: 'a', mode: 'exclusive' } })
  t.match(first.headers.get('consistency-token'), /^\w+\/\w+$/)
  const refused = await acquire('plain', 'b')
  t.match(refused, {
    status: 409,
    body: {
      code: 'lock-held',
      holders: [{ holder: 'a', token: first.body.token, metadata: { big: 1 } }],
      waiters: [],
    },
  })
  const released = await release('plain', 'a', first.body.token)
  t.match(released, { status: 200, body: { holder: 'a', token: first.body.token } })
  const second = await acquire('plain', 'b')
  t.ok(second.body.token > first.body.token)
  t.match(await release('plain', 'a', first.body.token), {
    status: 409,
    body: { code: 'lock-lost' },
  })
  t.match(await release('plain', 'b', first.body.token), { status: 409 })
  await release('plain', 'b', second.body.token)
  t.strictSame(await eventsOf('plain'), ['granted a', 'released a', 'granted b', 'released b'])
})

t.test('who asks again gets the same token, and a lease that begins anew', async (t) => {
  const first = await acquire('again', 'a', { ttlMs: 1000 })
  const second = await acquire('again', 'a', { ttlMs: 100_000 })
  t.equal(second.body.token, first.body.token)
  t.ok(Date.parse(second.body.expiresAt) - Date.parse(first.body.expiresAt) > 50_000)
  t.match(await acquire('again', 'a', { mode: 'shared' }), {
    status: 409,
    body: { code: 'lock-held', detail: /another mode/ },
  })
})

t.test('a lease is renewed, until it is lost', async (t) => {
  const { body } = await acquire('renewed', 'a', { ttlMs: 1000 })
  const longer = await renew('renewed', 'a', body.token, { ttlMs: 100_000 })
  t.match(longer, { status: 200, body: { token: body.token, holder: 'a', mode: 'exclusive' } })
  const same = await renew('renewed', 'a', body.token)
  t.ok(Date.parse(same.body.expiresAt) >= Date.parse(longer.body.expiresAt))
  const lost = { status: 409, body: { code: 'lock-lost', holder: 'a' } }
  t.match(await renew('renewed', 'a', body.token + 1), lost)
  await runOut('renewed')
  t.match(await renew('renewed', 'a', body.token), lost)
  t.match(await release('renewed', 'a', body.token), lost)
  const again = await acquire('renewed', 'a')
  t.ok(again.body.token > body.token)
  t.strictSame(await eventsOf('renewed'), ['granted a', 'expired a', 'granted a'])
})

t.test('several share a lock, and none has it alone beside them', async (t) => {
  const shared = { mode: 'shared' }
  const [a, b] = await Promise.all([acquire('shared', 'a', shared), acquire('shared', 'b', shared)])
  t.match([a.body.mode, b.body.mode], ['shared', 'shared'])
  t.not(a.body.token, b.body.token)
  t.equal((await acquire('shared', 'c')).status, 409)
  await release('shared', 'a', a.body.token)
  t.equal((await acquire('shared', 'c')).status, 409)
  await release('shared', 'b', b.body.token)
  t.equal((await acquire('shared', 'c')).status, 200)
  t.equal((await acquire('shared', 'a', shared)).status, 409)
})

t.test('those who wait go by priority, then in the order of their arrival', async (t) => {
  const { body } = await acquire('line', 'first')
  const order: string[] = []
  const waiters: Promise<void>[] = []
  const line = async (holder: string, priority: number, at = server) => {
    const { status, body } = await acquire('line', holder, { waitMs: 20_000, priority }, at)
    t.equal(status, 200)
    order.push(holder)
    await release('line', holder, body.token, at)
  }
  const asked = [
    ['low', 0],
    ['high', 5],
    ['low2', 0],
    ['top', 9],
    ['high2', 5],
  ] as const
  for (const [index, [holder, priority]] of asked.entries()) {
    waiters.push(line(holder, priority, index % 2 === 0 ? server : beside))
    await untilWaiting('line', index + 1)
  }
  const seen = await get('/locks/line')
  t.match(seen.body, { numHolders: 1, holders: [{ holder: 'first' }] })
  t.strictSame(
    seen.body.waiters.map((one: Ask) => one['holder']),
    ['top', 'high', 'high2', 'low', 'low2'],
  )
  t.match(seen.body.waiters[0], { priority: 9, mode: 'exclusive', waitingSince: /Z$/ })
  await release('line', 'first', body.token)
  await Promise.all(waiters)
  t.strictSame(order, ['top', 'high', 'high2', 'low', 'low2'])
})

t.test('a wait ends in time, and leaves nothing behind', async (t) => {
  const { body } = await acquire('late', 'a')
  const refused = await acquire('late', 'b', { waitMs: 50 })
  t.match(refused, { status: 409, body: { code: 'lock-held', holders: [{ holder: 'a' }] } })
  t.match((await get('/locks/late')).body, { numWaiters: 0, waiters: [] })
  await release('late', 'a', body.token)
  t.strictSame(await eventsOf('late'), ['granted a', 'waiting b', 'released a'])
})

t.test('who waits gets what was let expire, also beside another server', async (t) => {
  for (const [name, at] of [
    ['expiring', server],
    ['expiring2', beside],
  ] as const) {
    const { body } = await acquire(name, 'a', { ttlMs: 150 })
    const granted = await acquire(name, 'b', { waitMs: 20_000 }, at)
    t.equal(granted.status, 200)
    t.ok(granted.body.token > body.token)
  }
})

t.test('after an expiry there is a delay, and after a release none', async (t) => {
  const delay = { lockDelayMs: 60_000 }
  const { body } = await acquire('delayed', 'a', delay)
  await release('delayed', 'a', body.token)
  const next = await acquire('delayed', 'b', delay)
  t.equal(next.status, 200)
  await runOut('delayed')
  t.match(await acquire('delayed', 'c'), {
    status: 409,
    body: { holders: [], detail: /let it expire/ },
  })
  t.match((await get('/locks/delayed')).body, { delayedUntil: /Z$/, numHolders: 0 })
  await sql`update locks set delayed_until = clock_timestamp(), revision = revision + 1 where name = 'delayed'`.execute(
    db,
  )
  t.equal((await acquire('delayed', 'c')).status, 200)
})

t.test('a lock is forced open, on record', async (t) => {
  const { body } = await acquire('forced', 'a')
  const waiting = acquire('forced', 'b', { waitMs: 20_000 })
  await untilWaiting('forced', 1)
  t.match(await force('forced'), { status: 200, body: { holders: [{ holder: 'a' }] } })
  const granted = await waiting
  t.match(granted, { status: 200, body: { holder: 'b' } })
  t.match(granted.headers.get('consistency-token'), /^\w+\/\w+$/)
  t.equal((await renew('forced', 'a', body.token)).status, 409)
  t.strictSame(await eventsOf('forced'), ['granted a', 'waiting b', 'forced a', 'granted b'])
  const line = server.logged.find(({ msg }) => msg === 'a lock was forced open')
  t.match(line, { name: 'forced', holders: [{ holder: 'a' }] })
  t.strictSame((await force('never-held')).body, { name: 'never-held', holders: [] })
})

t.test('a client that closes the connection leaves the line', async (t) => {
  const { body } = await acquire('dropped', 'a')
  const gone = new AbortController()
  const broken = fetch(`${server.address}/locks/dropped/acquire`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ holder: 'b', ttlMs: 60_000, waitMs: 60_000 }),
    signal: gone.signal,
  })
  await untilWaiting('dropped', 1)
  const next = acquire('dropped', 'c', { waitMs: 20_000 })
  await untilWaiting('dropped', 2)
  gone.abort()
  await t.rejects(broken)
  await untilWaiting('dropped', 1)
  await release('dropped', 'a', body.token)
  t.equal((await next).status, 200)
})

t.test('who waits at a server that died is passed over, and swept away', async (t) => {
  const { body } = await acquire('orphaned', 'a')
  await sql`
    insert into lock_waits (request_id, lock_id, holder, mode, priority, ttl_ms, alive_until)
    select gen_random_uuid(), id, 'dead', 'exclusive', 9, 60000, clock_timestamp()
    from locks where name = 'orphaned'`.execute(db)
  const next = acquire('orphaned', 'b', { waitMs: 20_000 })
  await untilWaiting('orphaned', 1)
  await release('orphaned', 'a', body.token)
  t.equal((await next).status, 200)
})

t.test('locks are looked up and listed', async (t) => {
  t.match(await get('/locks/nobody'), { status: 404, body: { code: 'lock-not-found' } })
  await acquire('z/list', 'a').then(({ status }) => t.equal(status, 404))
  await acquire(encodeURIComponent('z/list'), 'a')
  t.match(await get('/locks/z%2Flist'), { status: 200, body: { name: 'z/list', numHolders: 1 } })
  const { text } = await get('/locks', { accept: 'application/x-ndjson' })
  const names = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).name)
  t.ok(names.includes('z/list') && !names.includes('plain'))
  t.strictSame(names, names.toSorted())
  const page = await get('/locks?limit=1')
  const rest = await get(`/locks?cursor=${page.body.nextCursor}`)
  t.strictSame(
    [...page.body.items, ...rest.body.items].map(({ name }) => name),
    names,
  )
})

t.test('what cannot be asked for is refused', async (t) => {
  const cases: [Ask, number, RegExp][] = [
    [{ ttlMs: 1 }, 400, /ttlMs/],
    [{ ttlMs: 1e12 }, 400, /ttlMs must be at most/],
    [{ waitMs: 1e9 }, 400, /waitMs must be at most/],
    [{ lockDelayMs: 1e9 }, 400, /lockDelayMs must be at most/],
    [{ priority: 10 }, 400, /priority/],
    [{ holder: 'a\u0000b' }, 400, /NUL/],
    [{ advisoryKey: 5 }, 400, /advisoryKey/],
  ]
  for (const [more, status, detail] of cases) {
    const answer = await acquire('refused', 'a', more)
    t.equal(answer.status, status)
    t.match(answer.body.detail, detail)
  }
  t.equal((await get('/locks/refused')).status, 404)
  t.equal((await acquire('-bad name', 'a')).status, 400)
})

t.test('a lock is watched, also from before it was ever held', async (t) => {
  const stream = await openStream(`${beside.address}/locks/watched/watch`)
  const { body } = await acquire('watched', 'a', { metadata: { n: 1 } })
  await acquire('watched', 'a', { metadata: { n: 2 } })
  const next = acquire('watched', 'b', { waitMs: 20_000 })
  await untilWaiting('watched', 1)
  await renew('watched', 'a', body.token)
  await release('watched', 'a', body.token)
  await next
  await force('watched')
  const events = (await stream.untilId('6')).filter(({ event }) => event !== 'bookmark')
  t.match(events, [
    { event: 'granted', id: '1', data: { event: 1, payload: { holder: 'a', token: body.token } } },
    { event: 'changed', data: { payload: { metadata: { n: 2 } } } },
    { event: 'waiting', data: { payload: { holder: 'b', priority: 0, waitingSince: /Z$/ } } },
    { event: 'released', data: { payload: { holder: 'a' } } },
    { event: 'granted', data: { payload: { holder: 'b' } } },
    { event: 'forced', data: { payload: { holder: 'b' } } },
  ])
  stream.close()
  const resumed = await openStream(`${server.address}/locks/watched/watch`, {
    'last-event-id': '4',
  })
  t.match(await resumed.until(1), [{ event: 'granted', id: '5' }])
  resumed.close()
})

t.test('it is measured', async (t) => {
  const { text } = await get('/metrics')
  t.match(text, /deltaworks_lock_grants_total\{kind="lock",mode="exclusive"\} \d/)
  t.match(text, /deltaworks_lock_hold_seconds_count\{kind="lock",end="forced"\} [1-9]/)
  t.match(text, /deltaworks_lock_hold_seconds_count\{kind="lock",end="expired"\} \d/)
  t.match(text, /deltaworks_lock_wait_seconds_count\{kind="lock",result="granted"\} \d/)
  t.match(text, /deltaworks_lock_refusals_total\{reason="lost"\} \d/)
})
