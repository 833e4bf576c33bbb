import { sql } from 'kysely'
import t from 'tap'
import { lapsedWaits } from '../../src/transactions/reservations/sweeps.ts'
import { stagedLeftovers } from '../../src/transactions/staged/sweeps.ts'
import { add, type TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const settings = { heldActionsMax: 3, transactionTablesMax: 4, reservationPollMs: 10 }
const server = await startTestServer(t, settings, { mirror: false })
const beside = await startTestServer(t, settings, { beside: server, mirror: false })

const codeOf = ({ status, body }: TestAnswer) => [status, body?.code]

async function begin(body: object = {}): Promise<string> {
  return (await server.post('/transactions', body)).body.id
}

const reserve = (id: string, tables: readonly string[], { waitMs = 0, on = server } = {}) =>
  on.post(`/transactions/${id}/reserve`, { tables, waitMs })
const rollBack = (id: string, on: TestServer = server) => on.post(`/transactions/${id}/rollback`)

async function makeTables(count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => server.makeTable()))
}

/** Waits until so many tables are waited for. */
async function waiting(count: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from reservation_waits where cycle is null`.execute(server.db)
    if (rows[0]?.count === count) return
  }
}

async function waitingGauge(on: TestServer): Promise<string | undefined> {
  const { text } = await on.get('/metrics')
  return /^deltaworks_reservation_waiters (\d+)/m.exec(text)?.[1]
}

t.test('a reserved table is written by its transaction alone, until that ends', async (t) => {
  const id = await begin({ label: 'nightly' })
  const [table = '', other = ''] = await makeTables(2)
  const { name } = (await server.get(`/tables/${table}`)).body
  const reserved = await reserve(id, [name, table])
  t.match(reserved, { status: 200, body: { transactionId: id, tables: [{ tableId: table }] } })
  t.match(reserved.headers.get('consistency-token'), /\//)
  t.strictSame((await reserve(id, [table])).body, reserved.body, 'what one has stays as it is')
  const shown = (await beside.get(`/transactions/${id}`)).body
  t.strictSame(shown.reservations, reserved.body.tables)

  const actions = [add('a')]
  const large = Array.from({ length: 5 }, (_, at) => add(`large-${at}`))
  const theirs = await begin({ tables: [{ table, actions }] })
  const writers: Record<string, () => Promise<TestAnswer>> = {
    'a commit': () => beside.commit(table, { actions }),
    'a large commit': () => server.commit(table, { actions: large }),
    'a transaction in one request': () =>
      server.post('/transactions', {
        commit: true,
        tables: [
          { table: other, actions },
          { table, actions },
        ],
      }),
    'a transaction that drops it': () =>
      server.post('/transactions', { commit: true, tables: [{ drop: table }] }),
    'a transaction over several requests': () => beside.post(`/transactions/${theirs}/commit`),
    'a drop': () => beside.call('DELETE', `/tables/${table}`),
    'an undrop': () => beside.post(`/tables/${table}/undrop`),
    'another reservation': () => reserve(theirs, [other, table]),
  }
  for (const [writer, write] of Object.entries(writers)) {
    const answer = await write()
    t.strictSame(codeOf(answer), [409, 'table-reserved'], writer)
    const { tableId, transactionId, label, expiresAt } = answer.body
    const found = { tableId, transactionId, label, expiresAt }
    t.strictSame(
      found,
      { tableId: table, transactionId: id, label: 'nightly', expiresAt: shown.expiresAt },
      writer,
    )
  }
  const check = await server.post(`/tables/${table}/commits/check`, { actions })
  t.match(check.body, { status: 409, answer: { code: 'table-reserved' } })
  t.equal((await reserve(theirs, [other])).status, 200, 'nothing was reserved of what was refused')
  t.match((await server.get(`/tables/${table}/files`)).status, 200)

  await server.post(`/transactions/${id}/tables/${table}/actions`, [add('own')])
  t.match(await beside.post(`/transactions/${id}/commit`), { status: 200 })
  t.match(await server.commit(table, { actions }), { status: 201, body: { version: 2 } })
  t.equal((await server.get(`/transactions/${id}`)).body.reservations, undefined)
  t.equal((await server.call('DELETE', `/tables/${table}`)).status, 200)
  t.strictSame(codeOf(await reserve(theirs, [table])), [409, 'table-dropped'])
})

t.test('a repeated commit is answered as before, though the table is reserved now', async (t) => {
  const [table = ''] = await makeTables(1)
  const proposal = { actions: [add('a')], idempotency: { appId: 'app', version: 1 } }
  await server.commit(table, proposal)
  await reserve(await begin(), [table])
  t.match(await server.commit(table, proposal), { status: 200, body: { status: 'duplicate' } })
})

t.test('reservations end with their transaction, by the clock too', async (t) => {
  const ends: Record<string, (id: string) => Promise<unknown>> = {
    'a rollback': (id) => rollBack(id, beside),
    'its time': (id) =>
      sql`update transactions set expires_at = clock_timestamp() where id = ${id}::uuid`.execute(
        server.db,
      ),
  }
  for (const [what, end] of Object.entries(ends)) {
    const [table = ''] = await makeTables(1)
    const id = await begin()
    await reserve(id, [table])
    await end(id)
    t.strictSame(codeOf(await reserve(id, [table])), [409, 'transaction-not-active'], what)
    t.equal((await server.commit(table, { actions: [add('a')] })).status, 201, what)
    const { rows } = await sql`
      select from tables where id = ${table}::uuid and not is_reserved`.execute(server.db)
    t.equal(rows.length, 1, 'the next commit has no more to look for')
    t.equal((await reserve(await begin(), [table])).status, 200, what)
  }
  const { sweep } = stagedLeftovers(server.db, server.config)
  while ((await sweep()) > 0);
  const { rows } = await sql`
    select from reservations r join transactions t on t.id = r.transaction_id
    where t.state <> 'active'`.execute(server.db)
  t.equal(rows.length, 0, 'nothing is left of what is over')
})

t.test('what is asked for must be there, and is limited', async (t) => {
  const tables = await makeTables(5)
  const [one = '', two = '', three = '', four = '', five = ''] = tables
  const id = await begin()
  const missing = '00000000-0000-4000-8000-000000000000'
  t.strictSame(codeOf(await reserve(id, [one, missing])), [404, 'table-not-found'])
  t.strictSame(codeOf(await reserve(missing, [one])), [404, 'transaction-not-found'])
  t.match(await reserve(id, [one], { waitMs: 60_001 }), {
    status: 400,
    body: { errors: [{ pointer: '/waitMs', message: 'must be at most 60000' }] },
  })
  t.match(await reserve(id, tables), {
    status: 422,
    body: { violations: [{ type: 'TooManyTables', count: 5, max: 4 }] },
  })
  t.equal((await reserve(id, [one, two, three])).status, 200)
  t.match((await reserve(id, [four, five])).body.violations, [{ type: 'TooManyTables', count: 5 }])
  t.equal((await reserve(id, [four])).body.tables.length, 4)
  t.equal((await reserve(await begin(), [five])).status, 200)
})

t.test('who waits gets the tables when they are free, the oldest transaction first', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  const ids = [await begin(), await begin(), await begin(), await begin()]
  const [first = '', second = '', third = '', fourth = ''] = ids
  await reserve(first, [one])
  // The younger ones ask first.
  const order: string[] = []
  const ask = async (id: string, tables: string[], on: TestServer) => {
    const answer = await reserve(id, tables, { waitMs: 30_000, on })
    order.push(id)
    return answer
  }
  const fourths = ask(fourth, [one], server)
  await waiting(1)
  const thirds = ask(third, [two, one], beside)
  await waiting(3)
  const seconds = ask(second, [one], beside)
  await waiting(4)
  const late = await begin()
  const passed = await reserve(late, [two])
  t.match(passed.body, { code: 'table-reserved', blockers: [{ isWaiting: true }] })
  t.equal(passed.body.transactionId, third, 'nobody younger takes what an older one waits for')
  await rollBack(first)
  t.equal((await seconds).status, 200)
  t.equal((await beside.post(`/transactions/${second}/rollback`)).status, 200)
  t.equal((await thirds).body.tables.length, 2)
  await rollBack(third, beside)
  t.equal((await fourths).status, 200)
  t.strictSame(order, [second, third, fourth])
  await waiting(0)
})

t.test('a wait ends with its time, its transaction, its client, or its server', async (t) => {
  const [table = ''] = await makeTables(1)
  const holder = await begin()
  await reserve(holder, [table])
  const id = await begin()
  t.strictSame(codeOf(await reserve(id, [table], { waitMs: 20 })), [409, 'table-reserved'])
  await waiting(0)

  const lost = reserve(id, [table], { waitMs: 30_000, on: beside })
  await waiting(1)
  await rollBack(id)
  t.strictSame(codeOf(await lost), [409, 'transaction-not-active'])

  const gone = new AbortController()
  const given = fetch(`${server.address}/transactions/${await begin()}/reserve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tables: [table], waitMs: 30_000 }),
    signal: gone.signal,
  }).catch(() => 'gone')
  await waiting(1)
  t.equal(await waitingGauge(server), '1')
  gone.abort()
  t.equal(await given, 'gone')
  await waiting(0)
  t.equal(await waitingGauge(server), '0')

  let broken: Promise<TestAnswer> | undefined
  await t.test('a server that stops soon', async (t) => {
    const stopping = await startTestServer(t, settings, { beside: server, mirror: false })
    broken = reserve(await begin(), [table], { waitMs: 30_000, on: stopping })
    await waiting(1)
    t.equal(await waitingGauge(stopping), '1')
  })
  t.match(await broken, { status: 429, body: { code: 'overloaded' } })
  await waiting(0)
})

t.test('too many may not wait', async (t) => {
  const few = { ...settings, reservationWaitersMax: 1 }
  const narrow = await startTestServer(t, few, { beside: server, mirror: false })
  const [table = ''] = await makeTables(1)
  const holder = await begin()
  await reserve(holder, [table])
  const waits = { waitMs: 30_000, on: narrow }
  const first = reserve(await begin(), [table], waits)
  await waiting(1)
  t.strictSame(codeOf(await reserve(await begin(), [table], waits)), [429, 'overloaded'])
  await waiting(1)
  await rollBack(holder)
  t.equal((await first).status, 200)
})

t.test('a repeated request is answered as the first', async (t) => {
  const [table = ''] = await makeTables(1)
  const id = await begin()
  const send = () =>
    server.post(`/transactions/${id}/reserve`, { tables: [table] }, { 'idempotency-key': id })
  const [one, two] = [await send(), await send()]
  t.equal(two.headers.get('idempotency-replayed'), 'true')
  t.equal(one.text, two.text)
})

interface Circle {
  /** Of the transactions in the order in which they are begun; each waits for what the next one has. */
  priorities: number[]
  /** Which one closes the circle. */
  last: number
  victim: number
}

const circles: Circle[] = [
  { priorities: [5, 5], last: 0, victim: 1 },
  { priorities: [5, 5], last: 1, victim: 1 },
  { priorities: [1, 5], last: 1, victim: 0 },
  { priorities: [9, 8, 9], last: 0, victim: 1 },
  { priorities: [0, 0, 3, 0], last: 2, victim: 3 },
]

for (const { priorities, last, victim } of circles) {
  t.test(`of ${priorities} in a circle number ${victim} gives way`, async (t) => {
    const tables = await makeTables(priorities.length)
    const ids: string[] = []
    for (const [at, priority] of priorities.entries()) {
      ids.push(await begin({ priority, label: `${at}` }))
      await reserve(ids[at] ?? '', [tables[at] ?? ''])
    }
    const asked = new Map<number, Promise<TestAnswer>>()
    const ask = (at: number) => {
      const next = tables[(at + 1) % tables.length] ?? ''
      const on = at % 2 === 0 ? server : beside
      asked.set(at, reserve(ids[at] ?? '', [next], { waitMs: 30_000, on }))
    }
    const others = priorities.flatMap((_, at) => (at === last ? [] : at))
    for (const [count, at] of others.entries()) {
      ask(at)
      await waiting(count + 1)
    }
    ask(last)
    const lost = await asked.get(victim)
    t.strictSame(codeOf(lost ?? (await server.get('/'))), [409, 'deadlock'])
    const cycle = lost?.body.cycle.map(({ label }: { label: string }) => Number(label))
    const inOrder = priorities.map((_, at) => (victim + at) % priorities.length)
    t.strictSame(cycle, inOrder)
    t.match((await server.get(`/transactions/${ids[victim]}`)).body, {
      state: 'active',
      reservations: undefined,
    })
    // The one before it in the circle gets its table, and the circle is undone from there.
    for (let step = 1; step < priorities.length; step += 1) {
      const at = (victim + priorities.length - step) % priorities.length
      t.equal((await asked.get(at))?.status, 200)
      await rollBack(ids[at] ?? '')
    }
    await rollBack(ids[victim] ?? '')
    const told = [...server.logged, ...beside.logged].filter(({ msg }) =>
      String(msg).startsWith('a deadlock'),
    )
    t.match(told.at(-1) ?? told, { level: 40 })
    const counts = await Promise.all([server, beside].map((one) => one.get('/metrics')))
    const total = counts
      .map(({ text }) => Number(/^deltaworks_reservation_deadlocks_total (\d+)/m.exec(text)?.[1]))
      .reduce((sum, count) => sum + count, 0)
    t.equal(total, told.length)
  })
}

t.test('two edges at once that close a circle are not both missed', async (t) => {
  for (let round = 0; round < 8; round += 1) {
    const [one = '', two = ''] = await makeTables(2)
    const [left, right] = [await begin(), await begin()]
    await Promise.all([reserve(left, [one]), reserve(right, [two], { on: beside })])
    const answers = await Promise.all([
      reserve(left, [two], { waitMs: 30_000 }),
      reserve(right, [one], { waitMs: 30_000, on: beside }),
    ])
    t.strictSame(answers.map(codeOf), [
      [200, undefined],
      [409, 'deadlock'],
    ])
  }
})

t.test('a transaction that waits by two requests is seen in a circle by either', async (t) => {
  const [one = '', two = '', three = ''] = await makeTables(3)
  const [a, b, c] = [await begin(), await begin(), await begin({ priority: 0 })]
  await reserve(a, [one])
  await reserve(b, [two])
  await reserve(c, [three])
  const forTwo = reserve(a, [two], { waitMs: 30_000 })
  await waiting(1)
  const forThree = reserve(a, [three], { waitMs: 30_000, on: beside })
  await waiting(2)
  t.strictSame(codeOf(await reserve(c, [one], { waitMs: 30_000 })), [409, 'deadlock'])
  t.equal((await forThree).status, 200)
  await rollBack(b)
  t.equal((await forTwo).body.tables.length, 3)
})

t.test('servers that died wait no more', async (t) => {
  const [table = ''] = await makeTables(1)
  const [holder, dead, alive] = [await begin(), await begin(), await begin()]
  await reserve(holder, [table])
  await sql`
    insert into reservation_waits (request_id, table_id, transaction_id, begun_at, alive_until)
    select gen_random_uuid(), ${table}::uuid, id, created_at, clock_timestamp()
    from transactions where id = ${dead}::uuid`.execute(server.db)
  await rollBack(holder)
  t.equal((await reserve(alive, [table])).status, 200)
  t.equal(await lapsedWaits(server.db).sweep(), 1)
  await waiting(0)
})
