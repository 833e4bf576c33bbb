import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { foreignMetadata, linesOf, writeForeignLog } from '../delta-log/foreign-log.ts'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }
const padded = (version: number) => String(version).padStart(20, '0')
let tables = 0

const features = ['deletionVectors', 'v2Checkpoint']
const protocol = {
  protocol: {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: features,
    writerFeatures: features,
  },
}
const state = [
  protocol,
  foreignMetadata,
  { txn: { appId: 'loader', version: 12 } },
  add('a', { dataChange: false }),
  add('b', { dataChange: false }),
  remove('gone'),
]

/** Imports a log whose first commits are gone, but for a checkpoint at version 2. */
async function importLate(
  versions: Parameters<typeof writeForeignLog>[1],
  checkpoint: readonly (object | string)[] = [{ checkpointMetadata: { version: 2 } }, ...state],
) {
  tables += 1
  const location = join(server.dataDir, 'tables', `late_${tables}`)
  await writeForeignLog(location, versions)
  const name = `${padded(2)}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json`
  await writeFile(join(location, '_delta_log', name), linesOf(checkpoint).join('\n'))
  const answer = await server.post('/tables/import', { name: `late_${tables}`, location })
  return { table: `late_${tables}`, answer, checkpoint: name }
}

const pathsAt = async (table: string, version: number) => {
  const { text } = await server.get(`/tables/${table}/files?version=${version}`, ndjson)
  return text.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line).add.path))
}

t.test('a history begins at a checkpoint when the commits before it are gone', async (t) => {
  const third = [{ commitInfo: { operation: 'DELETE' } }, remove('a'), add('c')]
  const { table, answer, checkpoint } = await importLate([undefined, undefined, undefined, third])
  t.match(answer, {
    status: 201,
    body: {
      version: 3,
      historyFrom: 2,
      statistics: { numFiles: 2, sizeInBytes: 200, numRecords: 20 },
      imported: { historyFrom: 2, commitsFrom: 3, commits: 1, appTransactions: 1, checkpoint },
    },
  })
  t.strictSame(await pathsAt(table, 2), ['a', 'b'])
  t.strictSame(await pathsAt(table, 3), ['b', 'c'])
  const { text } = await server.get(`/tables/${table}/commits/3`, ndjson)
  t.strictSame(text.trim().split('\n'), linesOf(third))
  t.match(await server.get(`/tables/${table}/snapshot?version=2`), {
    body: { statistics: { numFiles: 2 }, appTransactions: [{ appId: 'loader' }] },
  })
  const history = await server.get(`/tables/${table}/commits`)
  t.match(history.body.items, [{ version: 3, numRemovedFiles: 1, numRemovedBytes: 100 }])
  t.equal(history.body.items.length, 1)
  const paged = await server.get(`/tables/${table}/files?version=2&limit=1`)
  const rest = await server.get(`/tables/${table}/files?version=2&cursor=${paged.body.nextCursor}`)
  t.match(rest.body.items, [{ add: { path: 'b' } }])
  t.match(await server.get(`/tables/${table}/changes?from=2`), {
    body: { numAddedFiles: 1, numRemovedFiles: 1 },
  })
})

t.test('what lies before the history is gone, on every route', async (t) => {
  const { table } = await importLate([undefined, undefined, undefined, [add('c')]])
  const address = `/tables/${table}`
  const asked = [
    ['GET', '/snapshot?version=1', 2],
    ['GET', '/snapshot?timestamp=2001-01-01T00:00:00Z', 2],
    ['GET', '/files?version=0', 2],
    ['GET', '/files?timestamp=2001-01-01T00:00:00Z', 2],
    ['GET', '/commits/2', 3],
    ['GET', '/commits/0', 3],
    ['GET', '/commits?from=2', 3],
    ['GET', '/changes?from=1&to=3', 2],
    ['GET', '/watch?fromVersion=2', 3],
  ] as const
  for (const [method, path, historyFrom] of asked) {
    t.match(
      await server.call(method, `${address}${path}`),
      { status: 410, body: { code: 'history-not-available', historyFrom } },
      path,
    )
  }
  t.match(await server.get(`${address}/watch`, { 'last-event-id': '1' }), { status: 410 })
  t.match(await server.post(`${address}/scan`, { version: 1 }), { status: 410 })
  t.match(await server.post(`${address}/scan`, { version: 2 }), { status: 200 })
})

t.test('the table lives on, and knows what it cannot tell', async (t) => {
  const { table } = await importLate([undefined, undefined, undefined, [add('c')]])
  const commit = (proposal: object) => server.commit(table, proposal)
  t.match(await commit({ readVersion: 1, actions: [add('x')] }), {
    status: 409,
    body: { code: 'read-too-old' },
  })
  t.match(await commit({ expectedVersion: 1, actions: [add('x')] }), {
    status: 409,
    body: { code: 'version-conflict', actual: 4 },
  })
  const loaded = { idempotency: { appId: 'loader', version: 7 }, actions: [add('x')] }
  t.match(await commit(loaded), { status: 200, body: { status: 'duplicate', version: 2 } })
  t.match(await server.get(`/tables/${table}/app-transactions/loader`), {
    body: { committedIn: 2 },
  })
  t.match(await commit({ readVersion: 2, actions: [remove('b')] }), {
    status: 201,
    body: { version: 4, rebasedOver: [3] },
  })
  t.strictSame(await pathsAt(table, 4), ['a', 'c'])
  await server.published(table)
})

t.test('the commit of the checkpoint is told when it is there', async (t) => {
  const second = [add('b'), remove('old')]
  const { table, answer } = await importLate([undefined, undefined, second, [add('c')]])
  t.match(answer.body.imported, { historyFrom: 2, commitsFrom: 2, commits: 2 })
  const { text } = await server.get(`/tables/${table}/commits/2`, ndjson)
  t.strictSame(text.trim().split('\n'), linesOf(second))
  t.strictSame((await pathsAt(table, 2)).sort(), ['a', 'b'])
  t.match(await server.get(`/tables/${table}/commits/2`), {
    body: { numAddedFiles: 1, numRemovedFiles: 1 },
  })
  t.match(await server.get(`/tables/${table}/commits/1`), { status: 410 })
})

t.test('a checkpoint that cannot be read is refused by its name', async (t) => {
  const after = [undefined, undefined, undefined, [add('c')]]
  const without = (kind: string) => state.filter((action) => !(kind in action))
  const cases: [string, readonly (object | string)[], RegExp][] = [
    ['no protocol', without('protocol'), /no protocol/],
    ['no metadata', without('metaData'), /no metaData/],
    ['broken JSON', [...state, '{'], /line 7: is not JSON/],
    [
      'a sidecar that is not there',
      [...state, { sidecar: { path: 'x.parquet' } }],
      /_sidecars\/x.parquet: the file is missing/,
    ],
    ['a sidecar without a path', [...state, { sidecar: {} }], /has no path/],
  ]
  for (const [what, checkpoint, detail] of cases) {
    const { answer } = await importLate(after, checkpoint)
    t.match(answer, { status: 422, body: { code: 'delta-log-invalid', detail } }, what)
  }
})
