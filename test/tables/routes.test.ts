import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add, plainSchema } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

t.test(
  'a new table is at version 0 with commitInfo, protocol and metaData in its log',
  async (t) => {
    const created = await server.post('/tables', {
      name: 'sales.orders',
      schema: plainSchema,
      description: 'All orders.',
      configuration: { 'delta.appendOnly': 'true', owner: 'sales' },
    })
    t.equal(created.status, 201)
    const { id, location } = created.body
    t.equal(created.headers.get('location'), `/tables/${id}`)
    t.equal(location, join(server.dataDir, 'tables', id))
    t.match(created.body, {
      name: 'sales.orders',
      version: 0,
      inCommitTimestamp: Number,
      protocol: {
        minReaderVersion: 1,
        minWriterVersion: 7,
        writerFeatures: ['appendOnly', 'inCommitTimestamp'],
      },
      metadata: {
        id,
        name: 'sales.orders',
        description: 'All orders.',
        schemaString: JSON.stringify(plainSchema),
        partitionColumns: [],
        configuration: {
          'delta.appendOnly': 'true',
          'delta.enableInCommitTimestamps': 'true',
          owner: 'sales',
        },
      },
      statistics: { numFiles: 0, sizeInBytes: 0, numRecords: 0 },
    })
    await server.published(id)
    const file = join(location, '_delta_log', '00000000000000000000.json')
    const lines = (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    t.strictSame(
      lines.map((line) => Object.keys(line)),
      [['commitInfo'], ['protocol'], ['metaData']],
    )
    t.equal(lines[0].commitInfo.inCommitTimestamp, created.body.inCommitTimestamp)
    t.equal(lines[0].commitInfo.operation, 'CREATE TABLE')
    t.strictSame(lines[1].protocol, created.body.protocol)
    t.strictSame(lines[2].metaData, created.body.metadata)
  },
)

t.test('a table is found by id and by name, and told of as it stands', async (t) => {
  const id = await server.makeTable({ name: 'found.by-name' })
  await server.commit(id, { actions: [add('a'), add('b', { stats: '{"numRecords":5}', size: 7 })] })
  const byName = await server.get('/tables/found.by-name')
  const byId = await server.get(`/tables/${id.toUpperCase()}`)
  t.equal(byName.status, 200)
  t.equal(byName.body.id, byId.body.id)
  t.strictSame(byName.body.statistics, { numFiles: 2, sizeInBytes: 107, numRecords: 15 })
})

t.test('the number of rows is only told when every live file tells its own', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a'), add('b', { stats: undefined })] })
  t.equal((await server.get(`/tables/${id}`)).body.statistics.numRecords, null)
  await server.commit(id, { actions: [{ remove: { path: 'b', dataChange: true } }] })
  t.equal((await server.get(`/tables/${id}`)).body.statistics.numRecords, 10)
})

t.test('a schema keeps its tokens', async (t) => {
  const schema =
    '{ "type":"struct", "fields":[ {"name":"id","type":"long","nullable":true,"metadata":{"delta.identity.start":9007199254740993,"delta.identity.step":1,"delta.identity.allowExplicitInsert":false,"x":1.0}} ] }'
  const created = await server.call('POST', '/tables', {
    raw: `{"name":"exact.schema","schema":${schema}}`,
    headers: { 'content-type': 'application/json' },
  })
  t.equal(created.status, 201)
  t.equal(created.body.metadata.schemaString, schema.replaceAll(/(?<=[{[,]) | (?=[}\]])/g, ''))
})

t.test('a dropped table keeps its history and gives its name free', async (t) => {
  const id = await server.makeTable({ name: 'to.drop' })
  await server.commit(id, { actions: [add('a')] })
  const dropped = await server.call('DELETE', '/tables/to.drop')
  t.equal(dropped.status, 200)
  t.match(dropped.body, { id, droppedAt: String, version: 1 })
  t.equal((await server.get('/tables/to.drop')).status, 404)
  t.equal((await server.get(`/tables/${id}/files`)).body.items.length, 1)
  const refused = await server.commit(id, { actions: [add('b')] })
  t.match(refused, { status: 409, body: { code: 'table-dropped' } })
  const again = await server.call('DELETE', `/tables/${id}`)
  t.equal(again.body.droppedAt, dropped.body.droppedAt)

  const other = await server.makeTable({ name: 'to.drop' })
  const taken = await server.post(`/tables/${id}/undrop`)
  t.match(taken, { status: 409, body: { code: 'table-name-taken' } })
  await server.call('DELETE', `/tables/${other}`)
  const back = await server.post(`/tables/${id}/undrop`)
  t.equal(back.status, 200)
  t.notOk('droppedAt' in back.body)
  t.equal((await server.commit('to.drop', { actions: [add('b')] })).body.version, 2)
})

t.test('tables are listed by name, in pages, by prefix, dropped ones apart', async (t) => {
  const own = await startTestServer(t)
  for (const name of ['b.2', 'a.1', 'b.1', 'c', 'b.3']) await own.makeTable({ name })
  await own.call('DELETE', '/tables/c')
  const names = (answer: { body: { items: { name: string }[] } }) =>
    answer.body.items.map((table) => table.name)
  t.strictSame(names(await own.get('/tables')), ['a.1', 'b.1', 'b.2', 'b.3'])
  t.strictSame(names(await own.get('/tables?namePrefix=b.')), ['b.1', 'b.2', 'b.3'])
  t.strictSame(names(await own.get('/tables?dropped=true')), ['c'])
  const first = await own.get('/tables?limit=3')
  t.strictSame(names(first), ['a.1', 'b.1', 'b.2'])
  const second = await own.get(`/tables?limit=3&cursor=${first.body.nextCursor}`)
  t.strictSame(names(second), ['b.3'])
  t.notOk('nextCursor' in second.body)
  const lines = await own.get('/tables', { accept: 'application/x-ndjson' })
  t.equal(lines.headers.get('content-type'), 'application/x-ndjson')
  t.strictSame(
    lines.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).name),
    ['a.1', 'b.1', 'b.2', 'b.3'],
  )
})

t.test(
  'names that differ in case alone are one name, and a look-up is told the right one',
  async (t) => {
    await server.makeTable({ name: 'Case.Kept' })
    const second = await server.post('/tables', { name: 'case.kept', schema: plainSchema })
    t.match(second, { status: 409, body: { code: 'table-name-taken', name: 'Case.Kept' } })
    const missing = await server.get('/tables/case.kept')
    t.match(missing, { status: 404, body: { code: 'table-not-found', detail: /Case\.Kept/ } })
  },
)

t.test('of many that create one name exactly one does', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      server.post('/tables', { name: 'raced', schema: plainSchema }),
    ),
  )
  t.equal(answers.filter(({ status }) => status === 201).length, 1)
  t.equal(answers.filter(({ body }) => body.code === 'table-name-taken').length, 19)
})
