import t from 'tap'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })

const codeOf = ({ status, body }: TestAnswer) => [status, body?.code]

async function begin(isolationLevel: string): Promise<string> {
  return `/transactions/${(await server.post('/transactions', { isolationLevel })).body.id}`
}

async function filesIn(way: string, table: string, query = ''): Promise<string[]> {
  const answer = await beside.get(`${way}/tables/${table}/files${query}`)
  if (answer.status !== 200) throw new Error(answer.text)
  return answer.body.items.map((item: { add: { path: string } }) => item.add.path).sort()
}

const stage = (way: string, table: string, ...paths: string[]) =>
  server.post(
    `${way}/tables/${table}/actions`,
    paths.map((path) => add(path)),
  )

async function makeTables(count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => server.makeTable()))
}

/** Commits to several tables together, by another writer. */
const commitBoth = (tables: readonly string[], path: string) =>
  server.post('/transactions', {
    commit: true,
    tables: tables.map((table) => ({ table, actions: [add(path)] })),
  })

t.test('ReadCommitted: each read sees what is committed then', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  const way = await begin('ReadCommitted')
  t.strictSame(await filesIn(way, one), [])
  await commitBoth([one, two], 'a')
  t.strictSame(await filesIn(way, one), ['a'])
  t.equal((await server.get(`${way}/tables/${two}/snapshot`)).body.version, 1)
  await stage(way, one, 'own')
  t.strictSame(await filesIn(way, one), ['a'], 'what is staged is not seen')
  await commitBoth([one, two], 'b')
  t.equal((await server.post(`${way}/commit`)).status, 200)
})

t.test('RepeatableRead: all reads see the one view that the first has fixed', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  await commitBoth([one, two], 'a')
  const way = await begin('RepeatableRead')
  await commitBoth([one, two], 'b')
  t.strictSame(await filesIn(way, one), ['a', 'b'])
  await commitBoth([one, two], 'c')
  const late = await server.makeTable()
  t.strictSame(await filesIn(way, two), ['a', 'b'])
  t.strictSame(await filesIn(way, one), ['a', 'b'])
  const snapshot = await server.get(`${way}/tables/${two}/snapshot`)
  t.match(snapshot.body, { tableId: two, version: 2, statistics: { numFiles: 2 } })
  t.strictSame(codeOf(await server.get(`${way}/tables/${late}/files`)), [404, 'version-not-found'])
  await stage(way, one, 'own')
  t.equal((await server.post(`${way}/commit`)).status, 200, 'reads are not judged')
})

t.test('Serializable: what was read may not have changed', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  const ways = [await begin('Serializable'), await begin('Serializable')]
  for (const way of ways) for (const table of [one, two]) await filesIn(way, table)
  const [first = '', second = ''] = ways
  await stage(first, one, 'x')
  await stage(second, two, 'y')
  t.match((await server.get(second)).body.tables, [
    { tableId: one, status: 'read', readVersion: 0 },
    { tableId: two, status: 'staged', readVersion: 0, numActions: 1 },
  ])
  const done = await server.post(`${first}/commit`)
  t.match(done, { status: 200, body: { tables: [{ tableId: one, version: 1 }] } })
  t.equal(done.body.tables.length, 1)
  const refused = await server.post(`${second}/commit`)
  t.strictSame(codeOf(refused), [409, 'concurrent-append'])
  t.equal(refused.body.table, one)
  t.equal((await server.get(`/tables/${two}`)).body.version, 0)
})

t.test('Serializable: who only reads is told whether all of it still stands', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  await commitBoth([one, two], 'a')
  const [still = '', changed = ''] = [await begin('Serializable'), await begin('Serializable')]
  for (const way of [still, changed]) {
    for (const table of [one, two]) await server.get(`${way}/tables/${table}/snapshot`)
  }
  t.match(await server.post(`${still}/commit`), { status: 200, body: { tables: [] } })
  await server.commit(two, { actions: [remove('a')] })
  const refused = await server.post(`${changed}/commit`)
  t.strictSame(codeOf(refused), [409, 'concurrent-delete-read'])
  t.equal(refused.body.table, two)
  t.equal((await server.get(`/tables/${two}`)).body.version, 2)
})

t.test('Serializable: an app transaction that was read counts too', async (t) => {
  const [one = '', two = ''] = await makeTables(2)
  const txn = (version: number) => ({ txn: { appId: 'offsets', version } })
  await server.commit(one, { actions: [txn(1)] })
  const way = await begin('Serializable')
  await server.get(`${way}/tables/${one}/snapshot`)
  await stage(way, two, 'a')
  await server.commit(one, { actions: [txn(2)] })
  t.strictSame(codeOf(await server.post(`${way}/commit`)), [409, 'concurrent-transaction'])
})

t.test('of files that a predicate selects, only changes to these count', async (t) => {
  const schema = {
    type: 'struct',
    fields: ['id', 'day'].map((name) => ({ name, type: 'string', nullable: true, metadata: {} })),
  }
  const table = await server.makeTable({ schema, partitionColumns: ['day'] })
  const other = await server.makeTable()
  const on = (day: string, path: string) => add(path, { partitionValues: { day } })
  await server.commit(table, { actions: [on('1', 'a'), on('2', 'b')] })
  const predicate = (day: string) => ({
    op: 'equal',
    children: [
      { op: 'column', name: 'day', valueType: 'string' },
      { op: 'literal', value: day, valueType: 'string' },
    ],
  })
  const query = (value: unknown) => `?predicate=${encodeURIComponent(JSON.stringify(value))}`
  for (const [day, code] of [
    ['2', undefined],
    ['1', 'concurrent-append'],
  ] as const) {
    const way = await begin('Serializable')
    t.strictSame(await filesIn(way, table, query(predicate('1'))), ['a'])
    await stage(way, other, `x-${day}`)
    await server.commit(table, { actions: [on(day, `new-${day}`)] })
    const { body } = await server.post(`${way}/commit`)
    t.equal(body.code, code)
  }
  const way = await begin('Serializable')
  const faulty = [
    '{',
    '7',
    JSON.stringify({ op: 'equal' }),
    JSON.stringify(predicate('1')).replace('day', 'no'),
  ]
  for (const text of faulty) {
    const answer = await server.get(
      `${way}/tables/${table}/files?predicate=${encodeURIComponent(text)}`,
    )
    t.strictSame(codeOf(answer), [400, 'invalid-request'], text)
    t.match(answer.body.errors[0].pointer, /^\/query\/predicate/)
  }
  t.strictSame((await server.get(way)).body.tables, [], 'what was refused was not read')
})

t.test('all pages and lines show one version, and what is over is not read through', async (t) => {
  const table = await server.makeTable()
  await server.commit(table, { actions: [add('a'), add('b'), add('c')] })
  const way = await begin('ReadCommitted')
  const first = await server.get(`${way}/tables/${table}/files?limit=2`)
  t.match(first.body, { version: 1, numFiles: 3, items: [{}, {}] })
  await server.commit(table, { actions: [add('d')] })
  const { nextCursor } = first.body
  const second = await server.get(`${way}/tables/${table}/files?limit=2&cursor=${nextCursor}`)
  t.match(second.body, { version: 1, items: [{ add: { path: 'c' } }] })
  const lines = await server.get(`${way}/tables/${table}/files`, { accept: 'application/x-ndjson' })
  t.equal(lines.text.trim().split('\n').length, 4)
  await server.post(`${way}/rollback`)
  for (const what of ['files', 'snapshot']) {
    const answer = await server.get(`${way}/tables/${table}/${what}`)
    t.strictSame(codeOf(answer), [409, 'transaction-not-active'])
  }
})
