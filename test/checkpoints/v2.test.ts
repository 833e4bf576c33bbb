import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { writeCheckpoint } from '../../src/checkpoints/write-checkpoint.ts'
import { add, remove } from '../support/api.ts'
import { copyPoolOf } from '../support/postgres.ts'
import { startTestServer } from '../support/server.ts'
import { readCheckpoint, storedColumns } from './read-checkpoint.ts'

const v2 = { 'delta.feature.v2Checkpoint': 'supported', 'delta.checkpointPolicy': 'v2' }

/** A table with files `f-0` to `f-<files - 1>` and a tombstone. */
async function tableOf(t: Test, files: number) {
  const server = await startTestServer(t)
  const table = await server.makeTable({ configuration: v2 })
  const adds = Array.from({ length: files }, (_, index) => add(`f-${index}`))
  await server.commit(table, { actions: [...adds, add('gone')] })
  await server.commit(table, { actions: [remove('gone', { deletionTimestamp: Date.now() })] })
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  return { server, table, log: join(body.location, '_delta_log') }
}

t.test('by the V2 policy a checkpoint is named by a UUID and says which it is', async (t) => {
  const { server, table, log } = await tableOf(t, 3)
  const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
  t.match(body, {
    spec: 'v2',
    version: 2,
    numAddFiles: 3,
    files: [{ numActions: body.numActions }],
  })
  const [{ path, sizeInBytes }] = body.files
  t.match(path, /^0{19}2\.checkpoint\.[0-9a-f-]{36}\.parquet$/)
  const rows = await readCheckpoint(log, path)
  t.strictSame(
    rows.flatMap(({ checkpointMetadata }) => checkpointMetadata ?? []),
    [{ version: 2 }],
  )
  t.equal(rows.filter(({ add }) => add).length, 3)
  t.equal(rows.filter(({ sidecar }) => sidecar).length, 0)
  const last = JSON.parse(await readFile(join(log, '_last_checkpoint'), 'utf8'))
  t.match(last, { version: 2, size: rows.length, v2Checkpoint: { path, sizeInBytes } })
})

t.test('with many files it keeps them in sidecars, each file once', async (t) => {
  const { server, table, log } = await tableOf(t, 20)
  const { db, storage, database } = server
  const copyPool = copyPoolOf(database.connection)
  t.teardown(() => copyPool.end())
  const { signal } = new AbortController()
  const context = { db, copyPool, storage, sidecarActionsMax: 8 }
  const checkpoint = await writeCheckpoint(context, { tableId: table, version: 2, signal })
  t.match(checkpoint, { numAddFiles: 20, files: { length: 4 } })
  const { name = '' } = checkpoint.top ?? {}
  const top = await readCheckpoint(log, name)
  t.equal(top.filter(({ add, remove }) => add || remove).length, 0, 'no mix')
  const columns = await storedColumns(log, name)
  t.ok(columns.includes('add.path OPTIONAL BYTE_ARRAY UTF8'), 'but columns that Spark looks for')
  const sidecars = top.flatMap(({ sidecar }) => sidecar ?? [])
  t.equal(sidecars.length, 3)
  t.strictSame(
    sidecars.map(({ path }) => path).sort(),
    (await readdir(join(log, '_sidecars'))).sort(),
  )
  const rows = (
    await Promise.all(sidecars.map(({ path }) => readCheckpoint(log, `_sidecars/${path}`)))
  ).flat()
  t.equal(rows.length + top.length, checkpoint.numActions)
  t.strictSame(
    rows.flatMap(({ add }) => add?.['path'] ?? []).sort(),
    Array.from({ length: 20 }, (_, index) => `f-${index}`).sort(),
  )
  t.strictSame(
    rows.flatMap(({ remove }) => remove?.['path'] ?? []),
    ['gone'],
  )
  const { size } = JSON.parse(await readFile(join(log, '_last_checkpoint'), 'utf8'))
  t.equal(size, checkpoint.numActions)
})

t.test('without the feature the policy counts for nothing', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable({ configuration: { 'delta.checkpointPolicy': 'classic' } })
  await server.published(table)
  const { body } = await server.post(`/tables/${table}/mirror/checkpoint`)
  t.match(body, { spec: 'v1', files: [{ path: '00000000000000000000.checkpoint.parquet' }] })
})
