import t, { type Test } from 'tap'
import { add, plainSchema, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const twins = 100
const key = { 'idempotency-key': 'k' }

t.test('of a hundred twins at one server one is committed and all agree', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const proposal = { actions: [add('a')] }
  agree(t, await race(() => server.commit(table, proposal, key)))
  t.match(await server.get(`/tables/${table}`), { body: { version: 1 } })
})

t.test('of a hundred twins at two servers one is committed and all agree', async (t) => {
  const one = await startTestServer(t)
  const two = await startTestServer(t, {}, { beside: one })
  const table = await one.makeTable()
  const proposal = { actions: [add('a')] }
  for (const version of [1, 2, 3]) {
    const again = { 'idempotency-key': `round-${version}` }
    const answers = await race((twin) =>
      (twin % 2 === 0 ? one : two).commit(table, proposal, again),
    )
    agree(t, answers)
    t.match(await two.get(`/tables/${table}`), { body: { version } })
  }
})

t.test('of a hundred twins one makes the table and all agree', async (t) => {
  const one = await startTestServer(t)
  const two = await startTestServer(t, {}, { beside: one })
  const definition = { name: 'sales.orders', schema: plainSchema }
  agree(t, await race((twin) => (twin % 2 === 0 ? one : two).post('/tables', definition, key)))
  t.equal((await one.get('/tables')).body.items.length, 1)
})

t.test('of two requests that race with one key one is committed, the other refused', async (t) => {
  const one = await startTestServer(t)
  const two = await startTestServer(t, {}, { beside: one })
  const table = await one.makeTable()
  const answers = await race((twin) =>
    (twin % 2 === 0 ? one : two).commit(table, { actions: [add(`file-${twin % 4}`)] }, key),
  )
  const won = answers.filter(({ status }) => status === 201)
  t.equal(new Set(won.map(({ text }) => text)).size, 1)
  for (const { status, body } of answers) {
    t.ok(
      status === 201 ||
        (status === 422 && body.code === 'idempotency-key-reused') ||
        (status === 409 && body.code === 'idempotency-in-progress'),
      `${status} ${body.code}`,
    )
  }
  t.match(await one.get(`/tables/${table}`), { body: { version: 1 } })
})

t.test('keys of other requests are not in the way', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const answers = await race((index) =>
    server.commit(table, { actions: [add(`f${index}`)] }, { 'idempotency-key': `key-${index}` }),
  )
  t.strictSame(
    answers.map(({ body }) => body.version).sort((a, b) => a - b),
    Array.from({ length: twins }, (_, index) => index + 1),
  )
})

function race(request: (twin: number) => Promise<TestAnswer>): Promise<TestAnswer[]> {
  return Promise.all(Array.from({ length: twins }, (_, twin) => request(twin)))
}

/** All are answered with the one 201, one of them as the first; or are told to come again. */
function agree(t: Test, answers: readonly TestAnswer[]): void {
  const done = answers.filter(({ status }) => status === 201)
  const busy = answers.filter(({ status }) => status !== 201)
  t.equal(new Set(done.map(({ text }) => text)).size, 1)
  t.equal(done.filter(({ headers }) => !headers.has('idempotency-replayed')).length, 1)
  for (const { status, body, headers } of busy) {
    t.match({ status, body }, { status: 409, body: { code: 'idempotency-in-progress' } })
    t.equal(headers.get('retry-after'), '1')
  }
}
