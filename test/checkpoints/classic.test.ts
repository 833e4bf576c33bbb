import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeCheckpoint } from '../../src/checkpoints/write-checkpoint.ts'
import { add, remove } from '../support/api.ts'
import { copyPoolOf } from '../support/postgres.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { readCheckpoint, storedColumns } from './read-checkpoint.ts'

const field = (name: string, type: unknown) => ({ name, type, nullable: true, metadata: {} })
const schema = { type: 'struct', fields: [field('id', 'long'), field('day', 'date')] }
const beyondDoubles = '9007199254740993'
const stats = `{"numRecords":3,"minValues":{"id":-${beyondDoubles}},"maxValues":{"id":${beyondDoubles}},"nullCount":{"id":1}}`
const vector = {
  storageType: 'u',
  pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
  offset: 4,
  sizeInBytes: 40,
  cardinality: 1,
}
const now = Date.now()

/** A table on which every kind of action has been committed, and all that a checkpoint of it must hold. */
async function richTable(t: Test): Promise<{ server: TestServer; table: string; log: string }> {
  const server = await startTestServer(t)
  const table = await server.makeTable({
    schema,
    partitionColumns: ['day'],
    configuration: {
      'delta.enableDeletionVectors': 'true',
      'delta.enableChangeDataFeed': 'true',
      'delta.feature.domainMetadata': 'supported',
    },
  })
  const ofDay = (day: string | null, more: object = {}) => ({ partitionValues: { day }, ...more })
  const domain = (name: string, removed: boolean) => ({
    domainMetadata: { domain: name, configuration: '{"a":1}', removed },
  })
  const commits = [
    [
      add('plain', ofDay('2026-01-31', { stats, tags: { a: 'b', none: null } })),
      add('null%20day', ofDay(null)),
      add('with-vector', ofDay('2026-01-31', { stats })),
      add('removed-now', ofDay('2026-02-01')),
      add('removed-long-ago', ofDay('2026-02-01')),
      add('removed-and-back', ofDay('2026-02-01')),
      domain('kept', false),
      domain('dropped', false),
      { txn: { appId: 'loader', version: 1 } },
      { cdc: { path: 'changes', partitionValues: { day: null }, size: 1, dataChange: false } },
    ],
    [
      remove('removed-now', {
        deletionTimestamp: now,
        size: 100,
        ...ofDay('2026-02-01'),
        tags: { x: 'y' },
      }),
      remove('removed-long-ago', { deletionTimestamp: now - 8 * 86_400_000 }),
      remove('removed-and-back', { deletionTimestamp: now }),
      remove('never-added', { deletionTimestamp: now }),
      remove('with-vector', { deletionTimestamp: now }),
      add('with-vector', ofDay('2026-01-31', { stats, deletionVector: vector })),
      domain('dropped', true),
      { txn: { appId: 'loader', version: 2, lastUpdated: 1_700_000_000_001 } },
      { txn: { appId: 'other', version: -5 } },
    ],
    [add('removed-and-back', ofDay('2026-02-01'))],
  ]
  for (const actions of commits) {
    const answer = await server.commit(table, { operation: 'MERGE', actions })
    t.equal(answer.status, 201, answer.text)
  }
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  return { server, table, log: join(body.location, '_delta_log') }
}

t.test('a checkpoint holds what is in force, live files and tombstones', async (t) => {
  const { server, table, log } = await richTable(t)
  const { status, body, text } = await server.post(`/tables/${table}/mirror/checkpoint`)
  t.equal(status, 200, text)
  const name = '00000000000000000003.checkpoint.parquet'
  t.match(body, { tableId: table, version: 3, spec: 'v1', files: [{ path: name }] })
  const rows = await readCheckpoint(log, name)
  t.equal(body.numActions, rows.length)
  const of = (kind: string) => rows.flatMap((row) => (row[kind] ? [row[kind]] : []))

  t.strictSame(Object.keys(rows[0] ?? {}), ['protocol'], 'who looks for it finds it first')
  const snapshot = (await server.get(`/tables/${table}/snapshot`)).body
  t.strictSame(of('protocol'), [snapshot.protocol])
  t.strictSame(of('metaData'), [snapshot.metadata])
  t.strictSame(of('domainMetadata'), snapshot.domainMetadata)
  t.strictSame(of('txn'), snapshot.appTransactions)
  t.strictSame(of('txn').length, 2)
  t.strictSame(Object.keys(Object.assign({}, ...rows)).sort(), [
    'add',
    'domainMetadata',
    'metaData',
    'protocol',
    'remove',
    'txn',
  ])

  const byPath = (a: { path?: unknown }, b: { path?: unknown }) =>
    String(a.path) < String(b.path) ? -1 : 1
  const live = (await server.get(`/tables/${table}/files?limit=100`)).body.items
  t.strictSame(
    of('add').sort(byPath),
    live.map(({ add }: { add: object }) => withoutNulls(add)).sort(byPath),
  )
  t.equal(body.numAddFiles, live.length)
  t.match(
    of('add').find(({ path }) => path === 'with-vector'),
    { deletionVector: vector },
  )
  t.equal(of('add').find(({ path }) => path === 'plain')?.['stats'], stats, 'token for token')
  t.strictSame(
    of('remove')
      .map(({ path }) => path)
      .sort(),
    ['never-added', 'removed-now', 'with-vector'],
  )
  t.strictSame(
    of('remove').find(({ path }) => path === 'removed-now'),
    {
      path: 'removed-now',
      deletionTimestamp: now,
      dataChange: true,
      size: 100,
      partitionValues: { day: '2026-02-01' },
    },
  )
})

t.test('a checkpoint of an older version knows nothing of what came after', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const gone = (path: string) => remove(path, { deletionTimestamp: now })
  for (const actions of [
    [add('a'), add('b'), add('c')],
    [gone('a'), gone('b')],
    [add('a')],
    [gone('a'), gone('c'), add('b')],
  ]) {
    t.match(await server.commit(table, { actions }), { status: 201 })
  }
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  const copyPool = copyPoolOf(server.database.connection)
  t.teardown(() => copyPool.end())
  const { signal } = new AbortController()
  const context = { ...server, copyPool, sidecarActionsMax: 100 }
  const found: Record<number, string[]> = {}
  for (const version of [1, 2, 3, 4]) {
    const { files } = await writeCheckpoint(context, { tableId: table, version, signal })
    const rows = await readCheckpoint(join(body.location, '_delta_log'), files[0]?.name ?? '')
    found[version] = rows
      .flatMap((row) => [
        ...(row['add'] ? [`+${row['add']['path']}`] : []),
        ...(row['remove'] ? [`-${row['remove']['path']}`] : []),
      ])
      .sort()
  }
  t.strictSame(found, {
    1: ['+a', '+b', '+c'],
    2: ['+c', '-a', '-b'],
    3: ['+a', '+c', '-b'],
    4: ['+b', '-a', '-c'],
  })
})

t.test('columns are stored as Spark stores them', async (t) => {
  const { server, table, log } = await richTable(t)
  const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
  const columns = await storedColumns(log, body.files[0].path)
  for (const column of [
    'txn OPTIONAL group',
    'txn.appId OPTIONAL BYTE_ARRAY UTF8',
    'txn.version OPTIONAL INT64',
    'add.partitionValues OPTIONAL group MAP',
    'add.partitionValues.key_value REPEATED group',
    'add.partitionValues.key_value.key REQUIRED BYTE_ARRAY UTF8',
    'add.partitionValues.key_value.value OPTIONAL BYTE_ARRAY UTF8',
    'add.dataChange OPTIONAL BOOLEAN',
    'add.deletionVector.offset OPTIONAL INT32',
    'add.deletionVector.cardinality OPTIONAL INT64',
    'add.stats OPTIONAL BYTE_ARRAY UTF8',
    'metaData.partitionColumns OPTIONAL group LIST',
    'metaData.partitionColumns.list REPEATED group',
    'metaData.partitionColumns.list.element OPTIONAL BYTE_ARRAY UTF8',
    'protocol.minReaderVersion OPTIONAL INT32',
    'domainMetadata.removed OPTIONAL BOOLEAN',
  ]) {
    t.ok(columns.includes(column), column)
  }
  for (const absent of [
    'add.stats_parsed',
    'remove.stats',
    'remove.tags',
    'commitInfo',
    'sidecar',
  ]) {
    t.notOk(
      columns.some((column) => column.startsWith(absent)),
      absent,
    )
  }
})

t.test('_last_checkpoint leads to the newest', async (t) => {
  const { server, table, log } = await richTable(t)
  await server.post(`/tables/${table}/mirror/checkpoint`)
  await server.commit(table, { actions: [{ txn: { appId: 'third', version: 1 } }] })
  await server.published(table)
  const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
  const text = await readFile(join(log, '_last_checkpoint'), 'utf8')
  const last = JSON.parse(text)
  t.match(last, {
    version: 4,
    size: body.numActions,
    sizeInBytes: body.sizeInBytes,
    numOfAddFiles: 4,
    checksum: /^[0-9a-f]{32}$/,
  })
  t.match(text, /^\{"version":4,"size":\d+,/)
})

function withoutNulls(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null))
}
