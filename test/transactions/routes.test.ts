import { randomUUID } from 'node:crypto'
import t from 'tap'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const server = await startTestServer(t)

const commit = (tables: readonly object[], more: object = {}, headers = {}) =>
  server.post('/transactions', { commit: true, tables, ...more }, headers)

async function versionsOf(tables: readonly string[]): Promise<number[]> {
  const found = await Promise.all(tables.map((table) => server.get(`/tables/${table}`)))
  return found.map(({ body }) => body.version)
}

const codeOf = ({ status, body }: TestAnswer) => [status, body.code]

async function makeTables(count: number, on: TestServer = server): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => on.makeTable()))
}

t.test('several tables are committed at one time, under one id', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  await server.commit(two, { actions: [add('old')] })
  const answer = await commit(
    [
      { table: one, actions: [add('a'), add('b')] },
      { table: two, expectedVersion: 2, operation: 'DELETE', actions: [remove('old')] },
    ],
    { label: 'first' },
  )
  t.equal(answer.status, 201)
  const { id, tables, ...rest } = answer.body
  t.equal(answer.headers.get('location'), `/transactions/${id}`)
  t.match(answer.headers.get('consistency-token'), /\//)
  t.match(rest, {
    state: 'committed',
    isolationLevel: 'RepeatableRead',
    priority: 5,
    label: 'first',
  })
  t.equal(rest.createdAt, rest.committedAt)
  const [first, second] = tables
  t.match(first, { tableId: one, version: 1, status: 'committed', numAddedFiles: 2 })
  t.match(second, { tableId: two, version: 2, status: 'committed', numRemovedFiles: 1 })
  t.equal(first.inCommitTimestamp, second.inCommitTimestamp)
  for (const { tableId, version, inCommitTimestamp } of tables) {
    const { body } = await server.get(`/tables/${tableId}/commits`)
    t.match(body.items[0], { version, transactionId: id, commitInfo: { txnId: id } })
    t.equal(body.items[0].inCommitTimestamp, inCommitTimestamp)
    t.equal(body.items.at(-1).transactionId, undefined)
  }
  t.strictSame((await server.get(`/transactions/${id}`)).body, answer.body)
})

t.test('a refusal of one table names it, and nothing is left of any', async (t) => {
  const [good = '', other = '', dropped = ''] = await makeTables(3)
  await server.commit(other, { actions: [add('x')] })
  await server.call('DELETE', `/tables/${dropped}`)
  const { name } = (await server.get(`/tables/${good}`)).body
  const nowhere = randomUUID()
  const blob = { deep: JSON.parse(`${'['.repeat(150)}${']'.repeat(150)}`) }
  const serializable = { isolationLevel: 'Serializable', reads: { wholeTable: true } }
  const stale = { table: other, readVersion: 0, ...serializable }
  const cases: [Record<string, unknown>, number, string][] = [
    [{ table: nowhere, actions: [add('a')] }, 404, 'table-not-found'],
    [{ table: 'no.such', actions: [add('a')] }, 404, 'table-not-found'],
    [{ table: dropped, actions: [add('a')] }, 409, 'table-dropped'],
    [{ table: other, expectedVersion: 1, actions: [add('a')] }, 409, 'version-conflict'],
    [{ table: other, actions: [add('a'), add('a')] }, 422, 'invalid-actions'],
    [{ table: other, actions: [add('y', { size: -1 })] }, 422, 'invalid-actions'],
    [{ ...stale, actions: [add('a')] }, 409, 'concurrent-append'],
    [{ table: other, readVersion: 9, actions: [add('a')] }, 404, 'version-not-found'],
    [{ table: other, reads: { files: ['x'] }, actions: [add('a')] }, 400, 'invalid-request'],
    [
      { table: other, readVersion: 1, reads: { files: [''] }, actions: [add('a')] },
      400,
      'invalid-request',
    ],
    [{ table: other, operationParameters: blob, actions: [add('a')] }, 400, 'invalid-request'],
    [{ table: good, actions: [add('b')] }, 400, 'invalid-request'],
    [{ table: name, actions: [add('b')] }, 400, 'invalid-request'],
  ]
  const before = await versionsOf([good, other, dropped])
  const listed = (await server.get('/transactions')).body
  for (const [part, status, code] of cases) {
    const answer = await commit([{ table: good, actions: [add('a')] }, part])
    t.strictSame(codeOf(answer), [status, code], JSON.stringify(part).slice(0, 200))
    t.match(answer.body, { table: part['table'], tableIndex: 1 }, code)
    t.ok(answer.body.detail.startsWith(`tables[1] (${part['table']}): `), answer.body.detail)
    for (const { pointer } of answer.body.errors ?? []) t.match(pointer, /^\/tables\/1(\/|$)/)
  }
  t.strictSame(await versionsOf([good, other, dropped]), before)
  t.strictSame((await server.get('/transactions')).body, listed)
  t.equal((await server.get(`/tables/${good}/files`)).body.items.length, 0)
})

t.test(
  'a table that has the app transaction is a duplicate, the others are committed',
  async (t) => {
    const [one = '', two = ''] = await makeTables(2)
    const idempotency = { appId: 'loader', version: 7 }
    await server.commit(one, { idempotency, actions: [add('a')] })
    const tables = [one, two].map((table) => ({ table, idempotency, actions: [add('a')] }))
    const first = await commit(tables)
    t.match(first, {
      status: 201,
      body: {
        tables: [
          { tableId: one, version: 1, status: 'duplicate' },
          { tableId: two, version: 1, status: 'committed' },
        ],
      },
    })
    const again = await commit(tables)
    t.match(again, {
      status: 201,
      body: { tables: [{ status: 'duplicate' }, { status: 'duplicate' }] },
    })
    t.strictSame(await versionsOf([one, two]), [1, 1])
  },
)

t.test('its Idempotency-Key makes a transaction apply once, refused or not', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  const tables = [one, two].map((table) => ({ table, expectedVersion: 1, actions: [add('a')] }))
  const first = await commit(tables, {}, { 'idempotency-key': 'tx-1' })
  const again = await commit(tables, {}, { 'idempotency-key': 'tx-1' })
  t.equal(first.status, 201)
  t.equal(again.text, first.text)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  const refused = await commit(tables, {}, { 'idempotency-key': 'tx-2' })
  const refusedAgain = await commit(tables, {}, { 'idempotency-key': 'tx-2' })
  t.strictSame(codeOf(refused), [409, 'version-conflict'])
  t.equal(refusedAgain.text, refused.text)
  const other = await commit(tables.slice(1), {}, { 'idempotency-key': 'tx-1' })
  t.strictSame(codeOf(other), [422, 'idempotency-key-reused'])
  t.strictSame(await versionsOf([one, two]), [1, 1])
})

t.test('of twins at two servers one is committed and all agree', async (t) => {
  const beside = await startTestServer(t, {}, { beside: server })
  const [one = '', two = ''] = await makeTables(2)
  const tables = [one, two].map((table) => ({ table, actions: [add('a')] }))
  const headers = { 'idempotency-key': randomUUID() }
  const send = async (twin: number): Promise<TestAnswer> => {
    const at = twin % 2 === 0 ? server : beside
    const answer = await at.post('/transactions', { commit: true, tables }, headers)
    return answer.body.code === 'idempotency-in-progress' ? send(twin) : answer
  }
  const answers = await Promise.all(Array.from({ length: 40 }, (_, twin) => send(twin)))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [201])
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
  t.strictSame(await versionsOf([one, two]), [1, 1])
})

t.test('what is too large, or empty, is told with all of it', async (t) => {
  const small = await startTestServer(t, {
    transactionTablesMax: 2,
    transactionActionsMax: 5,
    actionsMax: 3,
  })
  const [a = '', b = '', c = ''] = await makeTables(3, small)
  const adds = (count: number) => Array.from({ length: count }, (_, at) => add(`f-${at}`))
  const send = (tables: readonly object[]) => small.post('/transactions', { commit: true, tables })
  const refused = await send([
    { table: a, actions: adds(4) },
    { table: b, actions: [] },
    { table: c, actions: adds(2) },
  ])
  t.strictSame(codeOf(refused), [422, 'invalid-transaction'])
  t.strictSame(refused.body.violations, [
    { type: 'TooManyTables', count: 3, max: 2 },
    { type: 'TransactionTooLarge', actionCount: 6, maxActions: 5 },
    { type: 'TableTransactionTooLarge', table: a, actionCount: 4, maxActions: 3 },
    { type: 'EmptyActionList', table: b },
  ])
  const allowed = await send([
    { table: a, actions: adds(3) },
    { table: b, actions: adds(2) },
  ])
  t.equal(allowed.status, 201)
  const mark = { table: c, idempotency: { appId: 'a', version: 1 }, actions: [] }
  t.equal((await send([mark])).status, 201, 'an app transaction alone is not nothing')
})

t.test('files for which memory has no room are staged, and dropped with a refusal', async (t) => {
  const small = await startTestServer(t, { heldActionsMax: 2 })
  const [a = '', b = '', c = ''] = await makeTables(3, small)
  const adds = ['x', 'y', 'z'].map((path) => add(path))
  const send = (last: object) =>
    small.post('/transactions', {
      commit: true,
      tables: [
        { table: a, actions: adds },
        { table: b, actions: adds.slice(0, 2) },
        { table: c, actions: adds },
        last,
      ],
    })
  const stages = async () =>
    (
      await small.pool.query(
        `select from pg_class where relname like 'stage\\_%' and relkind = 'r'`,
      )
    ).rowCount ?? 0
  const d = await small.makeTable()
  t.strictSame(codeOf(await send({ table: d, actions: [remove('x'), remove('x')] })), [
    422,
    'invalid-actions',
  ])
  t.strictSame(codeOf(await send({ table: d, reads: {}, actions: adds })), [400, 'invalid-request'])
  const done = await send({ table: d, actions: [add('x')] })
  t.equal(done.status, 201, done.text)
  t.strictSame(
    done.body.tables.map((one: { numAddedFiles: number }) => one.numAddedFiles),
    [3, 2, 3, 1],
  )
  t.equal(
    new Set(done.body.tables.map((one: { inCommitTimestamp: number }) => one.inCommitTimestamp))
      .size,
    1,
  )
  for (let tries = 0; tries < 100 && (await stages()) > 0; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.equal(await stages(), 0)
})

t.test('with Serializable, proposals without a level of their own are judged so', async (t) => {
  const table = await server.makeTable()
  await server.commit(table, { actions: [add('a')] })
  await server.commit(table, { actions: [add('b')] })
  const part = { table, readVersion: 1, reads: { wholeTable: true }, actions: [add('c')] }
  const strict = await commit([part], { isolationLevel: 'Serializable' })
  t.strictSame(codeOf(strict), [409, 'concurrent-append'])
  const own = { ...part, isolationLevel: 'WriteSerializable' }
  const free = await commit([own], { isolationLevel: 'Serializable', priority: 9 })
  t.match(free, { status: 201, body: { isolationLevel: 'Serializable', priority: 9 } })
})

t.test('a transaction at once without a table or anything else is refused', async (t) => {
  const table = await server.makeTable()
  for (const body of [{ commit: true }, { commit: true, tables: [] }]) {
    t.strictSame(codeOf(await server.post('/transactions', body)), [400, 'invalid-request'])
  }
  t.strictSame(await versionsOf([table]), [0])
})

t.test('transactions are listed newest first, by state, page after page', async (t) => {
  const own = await startTestServer(t)
  const table = await own.makeTable()
  const ids: string[] = []
  for (const path of ['a', 'b', 'c']) {
    const tables = [{ table, actions: [add(path)] }]
    ids.unshift((await own.post('/transactions', { commit: true, tables })).body.id)
  }
  const all = (await own.get('/transactions?state=committed')).body.items
  t.strictSame(
    all.map(({ id }: { id: string }) => id),
    ids,
  )
  t.match(all[0], { state: 'committed', numTables: 1, committedAt: String })
  t.notOk('tables' in all[0])
  t.strictSame((await own.get('/transactions?state=active')).body, { items: [] })
  const first = (await own.get('/transactions?limit=2')).body
  const next = (await own.get(`/transactions?limit=2&cursor=${first.nextCursor}`)).body
  t.strictSame([...first.items, ...next.items], all)
  t.equal(next.nextCursor, undefined)
  t.strictSame(codeOf(await own.get('/transactions?state=open')), [400, 'invalid-request'])
  t.strictSame(codeOf(await own.get(`/transactions/${randomUUID()}`)), [
    404,
    'transaction-not-found',
  ])
})
