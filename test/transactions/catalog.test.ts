import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add, plainSchema, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

const commit = (tables: readonly object[], headers = {}) =>
  server.post('/transactions', { commit: true, tables }, headers)
const codeOf = ({ status, body }: TestAnswer) => [status, body.code]
const newName = () => `t_${randomUUID().replaceAll('-', '')}`
const drop = (table: string) => server.call('DELETE', `/tables/${table}`)

t.test('tables are made, filled, dropped and brought back with commits to others', async (t) => {
  const [old, gone, back] = [
    await server.makeTable(),
    await server.makeTable(),
    await server.makeTable(),
  ]
  await server.commit(old, { actions: [add('a')] })
  await drop(back)
  const [empty, full] = [newName(), newName()]
  const answer = await commit([
    { create: { name: empty, schema: plainSchema, description: 'of a transaction' } },
    { table: old, actions: [remove('a')] },
    { drop: gone },
    { create: { name: full, schema: plainSchema }, actions: [add('x'), add('y')] },
    { undrop: back },
  ])
  t.equal(answer.status, 201, answer.text)
  const { id, tables } = answer.body
  t.match(tables, [
    { version: 0, status: 'created', numAddedFiles: 0 },
    { tableId: old, version: 2, status: 'committed', numRemovedFiles: 1 },
    { tableId: gone, version: 0, status: 'dropped' },
    { version: 0, status: 'created', numAddedFiles: 2, numAddedBytes: 200 },
    { tableId: back, version: 0, status: 'undropped' },
  ])
  const times = [0, 1, 3].map((at) => tables[at].inCommitTimestamp)
  t.equal(new Set(times).size, 1)
  t.match((await server.get(`/tables/${gone}`)).body, { droppedAt: String })
  t.notOk('droppedAt' in (await server.get(`/tables/${back}`)).body)
  t.match((await server.get(`/tables/${full}`)).body, {
    id: tables[3].tableId,
    version: 0,
    statistics: { numFiles: 2, sizeInBytes: 200, numRecords: 20 },
  })
  t.equal((await server.get(`/tables/${full}/files`)).body.items.length, 2)
  t.match((await server.get(`/tables/${empty}`)).body.metadata, { description: 'of a transaction' })
  for (const [table, operation] of [
    [empty, 'CREATE TABLE'],
    [full, 'CREATE TABLE AS SELECT'],
  ] as const) {
    const { location } = (await server.get(`/tables/${table}`)).body
    await server.published(table)
    const log = await readFile(join(location, '_delta_log', `${'0'.repeat(20)}.json`), 'utf8')
    const [info = '', ...lines] = log.trim().split('\n')
    t.match(JSON.parse(info).commitInfo, {
      txnId: id,
      operation,
      operationParameters: { partitionBy: '[]' },
    })
    t.equal(lines.length, table === full ? 4 : 2)
  }
  t.strictSame((await server.get(`/transactions/${id}`)).body, answer.body)
  t.match(await server.commit(full, { expectedVersion: 1, actions: [add('z')] }), { status: 201 })
})

t.test('a new table takes the place of one that is dropped, at one moment', async (t) => {
  const name = newName()
  const old = await server.makeTable({ name })
  const { body } = await commit([{ drop: name }, { create: { name, schema: plainSchema } }])
  t.match(await server.get(`/tables/${name}`), { body: { id: body.tables[1].tableId } })
  const back = await commit([{ drop: body.tables[1].tableId }, { undrop: old }])
  t.equal(back.status, 201, back.text)
  t.match(await server.get(`/tables/${name}`), { body: { id: old } })
  const late = await commit([{ create: { name, schema: plainSchema } }, { drop: name }])
  t.strictSame(codeOf(late), [409, 'table-name-taken'], 'the order counts')
})

t.test('a refusal leaves nothing, and names the table', async (t) => {
  const [name, taken] = [newName(), newName()]
  const [table, dropped, other] = [
    await server.makeTable({ name: taken }),
    await server.makeTable({ name }),
    await server.makeTable(),
  ]
  await drop(dropped)
  const { location } = (await server.get(`/tables/${table}`)).body
  const create = { name: newName(), schema: plainSchema }
  const made = (more: object) => ({ create: { ...create, name: newName(), ...more } })
  const metaData = { id: 'x', format: { provider: 'parquet', options: {} }, schemaString: '{}' }
  const cases: [string, object[], number, string][] = [
    ['name', [made({ name: taken.toUpperCase() })], 409, 'table-name-taken'],
    ['name twice', [made({ name: 'twice' }), made({ name: 'TWICE' })], 409, 'table-name-taken'],
    ['back twice', [made({ name }), { undrop: dropped }], 409, 'table-name-taken'],
    ['id', [made({ name: randomUUID() })], 422, 'invalid-table'],
    ['schema', [made({ schema: { type: 'struct', fields: [{}] } })], 422, 'invalid-table'],
    ['location', [made({ location })], 409, 'location-taken'],
    ['inside', [made({ location: `${location}/in` })], 409, 'location-taken'],
    [
      'inside each other',
      [made({ location: `${location}-2` }), made({ location: `${location}-2/in` })],
      409,
      'location-taken',
    ],
    ['outside', [made({ location: '/nowhere/at/all' })], 422, 'location-not-allowed'],
    ['files', [{ ...made({}), actions: [add('a'), add('a')] }], 422, 'invalid-actions'],
    [
      'removes',
      [
        {
          ...made({}),
          actions: [{ metaData: { ...metaData, partitionColumns: [], configuration: {} } }],
        },
      ],
      422,
      'invalid-actions',
    ],
    ['unknown', [{ drop: randomUUID() }], 404, 'table-not-found'],
    [
      'drop and commit',
      [{ table: other, actions: [add('b')] }, { drop: other }],
      400,
      'invalid-request',
    ],
    ['drop twice', [{ drop: other }, { undrop: other }], 400, 'invalid-request'],
    ['version', [{ ...made({}), expectedVersion: 0 }], 400, 'invalid-request'],
    ['with actions', [{ drop: other, actions: [] }], 400, 'invalid-request'],
    ['two kinds', [{ drop: other, table: other, actions: [] }], 400, 'invalid-request'],
    ['none', [{ operation: 'WRITE' }], 400, 'invalid-request'],
    ['no actions', [{ table: other }], 400, 'invalid-request'],
  ]
  const state = async () => [
    (await server.get('/tables?limit=1000')).text,
    (await server.get('/tables?dropped=true&limit=1000')).body.items.length,
    (await server.get('/transactions?limit=1000')).text,
  ]
  await server.published(table)
  await server.published(other)
  const before = await state()
  for (const [what, parts, status, code] of cases) {
    const answer = await commit([{ create }, ...parts])
    t.strictSame(codeOf(answer), [status, code], `${what}: ${answer.text}`)
    const { tableIndex, errors = [] } = answer.body
    if (status !== 400) t.equal(tableIndex, parts.length, what)
    for (const { pointer } of errors) t.match(pointer, new RegExp(`^/tables/${parts.length}`))
  }
  const schema = await commit([made({ schema: { type: 'struct', fields: [{}] } })])
  t.match(schema.body.errors[0].pointer, /^\/tables\/0\/create\/schema/)
  t.strictSame(await state(), before)
})

t.test('what must be held in memory is bounded', async (t) => {
  const small = await startTestServer(t, { heldActionsMax: 2 })
  const create = { name: newName(), schema: plainSchema }
  const actions = ['a', 'b', 'c'].map((path) => add(path))
  const refused = await small.post('/transactions', { commit: true, tables: [{ create, actions }] })
  t.strictSame(refused.body.violations, [
    { type: 'TableTransactionTooLarge', table: create.name, actionCount: 3, maxActions: 2 },
  ])
})

t.test('an Idempotency-Key makes tables once', async (t) => {
  const tables = [{ create: { name: newName(), schema: plainSchema }, actions: [add('a')] }]
  const headers = { 'idempotency-key': randomUUID() }
  const first = await commit(tables, headers)
  const again = await commit(tables, headers)
  t.equal(first.status, 201)
  t.equal(again.text, first.text)
})

t.test('transactions that make, drop and commit at once never deadlock', async (t) => {
  const beside = await startTestServer(t, {}, { beside: server, mirror: false })
  const tables = await Promise.all(Array.from({ length: 4 }, () => server.makeTable()))
  const seen = new Set<number>()
  const runClient = async (client: number) => {
    const at = client % 2 === 0 ? server : beside
    for (let round = 0; round < 8; round += 1) {
      const [one = '', two = ''] = tables.toSorted(() => Math.random() - 0.5)
      const change = [
        { create: { name: newName(), schema: plainSchema } },
        { drop: one },
        { undrop: one },
      ][(client + round) % 3]
      const part = { table: two, actions: [add(randomUUID())] }
      const body = { commit: true, tables: round % 2 === 0 ? [change, part] : [part, change] }
      const answer = await at.post('/transactions', body)
      seen.add(answer.status)
      if (answer.status !== 201 && answer.body.code !== 'table-dropped') t.fail(answer.text)
      await at.commit(one, { actions: [add(randomUUID())] })
    }
  }
  await Promise.all(Array.from({ length: 8 }, (_, client) => runClient(client)))
  t.ok(seen.has(201))
})
