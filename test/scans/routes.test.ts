import t from 'tap'
import { struct } from '../delta/predicates/support.ts'
import { column as field, mapped } from '../delta/support.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }

const equal = (name: string, value: unknown, valueType: string) => ({
  op: 'equal',
  children: [
    { op: 'column', name },
    { op: 'literal', value, valueType },
  ],
})

const pathsOf = (items: { add: { path: string } }[]) => items.map((item) => item.add.path)

t.test('columns are known to files by their physical names, also within structs', async (t) => {
  const inner = struct(field('zip', 'string', mapped(4, 'col-zip')))
  const id = await server.makeTable({
    schema: {
      type: 'struct',
      fields: [
        field('day', 'date', mapped(1, 'col-day')),
        field('id', 'long', mapped(2, 'col-id')),
        field('home', inner, mapped(3, 'col-home')),
      ],
    },
    partitionColumns: ['day'],
    configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '4' },
  })
  const file = (path: string, day: string, zip: string) => {
    const bounds = { 'col-id': 1, 'col-home': { 'col-zip': zip } }
    const nullCount = { 'col-id': 0, 'col-home': { 'col-zip': 0 } }
    const stats = { numRecords: 1, minValues: bounds, maxValues: bounds, nullCount }
    return add(path, { partitionValues: { 'col-day': day }, stats: JSON.stringify(stats) })
  }
  const actions = [
    file('a', '2024-01-01', '1000'),
    file('b', '2024-01-02', '1000'),
    file('c', '2024-01-02', '2000'),
  ]
  t.equal((await server.commit(id, { actions })).status, 201)
  const predicate = {
    op: 'and',
    children: [equal('DAY', '2024-01-02', 'date'), equal('home.zip', '2000', 'string')],
  }
  const { body } = await server.post(`/tables/${id}/scan`, { predicate, columns: ['home'] })
  t.match(body, { numFiles: 3, numMatched: 1, prunedByPartition: 1, prunedByStatistics: 1 })
  t.strictSame(pathsOf(body.items), ['c'])
  t.strictSame(JSON.parse(body.items[0].add.stats), {
    numRecords: 1,
    minValues: { 'col-home': { 'col-zip': '2000' } },
    maxValues: { 'col-home': { 'col-zip': '2000' } },
    nullCount: { 'col-home': { 'col-zip': 0 } },
  })
})

t.test('what does not fit the table is refused where it stands', async (t) => {
  const id = await server.makeTable()
  const faultsOf = async (body: object) => {
    const answer = await server.post(`/tables/${id}/scan`, body)
    t.match(answer, { status: 400, body: { code: 'invalid-request' } })
    return answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)
  }
  const now = new Date().toISOString()
  t.strictSame(await faultsOf({ predicate: equal('none', 1, 'long') }), [
    '/predicate/children/0/name',
  ])
  t.strictSame(await faultsOf({ predicate: equal('id', 'x', 'string') }), [
    '/predicate/children/1/valueType',
  ])
  t.strictSame(await faultsOf({ predicate: equal('id', 'x', 'long') }), [
    '/predicate/children/1/value',
  ])
  t.strictSame(await faultsOf({ columns: ['id', 'none'] }), ['/columns/1'])
  t.strictSame(await faultsOf({ version: 0, timestamp: now }), ['/timestamp'])
  t.strictSame(await faultsOf({ predicate: 1 }), ['/predicate'])
  t.strictSame(await faultsOf({ filter: {} }), [''])
  const unknown = await server.post(`/tables/${id}/scan`, { version: 9 })
  t.match(unknown, { status: 404, body: { code: 'version-not-found', currentVersion: 0 } })
})

t.test('a scan is read against the schema of its version', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a')] })
  const { metadata } = (await server.get(`/tables/${id}`)).body
  const { schema } = { schema: JSON.parse(metadata.schemaString) }
  schema.fields.push(field('more', 'string'))
  const metaData = { ...metadata, schemaString: JSON.stringify(schema) }
  t.equal((await server.commit(id, { actions: [{ metaData }] })).status, 201)
  const predicate = equal('more', 'x', 'string')
  const now = await server.post(`/tables/${id}/scan`, { predicate })
  t.match(now, { status: 200, body: { version: 2, numMatched: 1 } })
  const before = await server.post(`/tables/${id}/scan`, { version: 1, predicate })
  t.equal(before.status, 400)
})

t.test('a scan of everything tells as much', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: ['a', 'b', 'c'].map((path) => add(path)) })
  const summary = {
    version: 1,
    numFiles: 3,
    numMatched: 3,
    prunedByPartition: 0,
    prunedByStatistics: 0,
  }
  const page = await server.post(`/tables/${id}/scan`, { limit: 2 })
  const { items, nextCursor, ...rest } = page.body
  t.strictSame(rest, summary)
  t.strictSame(pathsOf(items), ['a', 'b'])
  const whole = await server.post(`/tables/${id}/scan`, {}, ndjson)
  t.strictSame(JSON.parse(whole.headers.get('scan-summary') ?? ''), summary)
  const files = await server.get(`/tables/${id}/files`, ndjson)
  t.equal(whole.text, files.text)
  const rows = await server.post(`/tables/${id}/scan`, { limit: 2, cursor: nextCursor }, ndjson)
  t.strictSame(JSON.parse(rows.text).add.path, 'c')
  const trimmed = await server.post(`/tables/${id}/scan`, { columns: [] }, ndjson)
  t.equal(trimmed.text.split('\n').length, 4)
})
