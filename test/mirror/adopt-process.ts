import { loadConfig } from '../../src/config.ts'
import { createDb } from '../../src/database/connect.ts'
import { adoptCommits } from '../../src/mirror/adopt-commits.ts'
import { Problem } from '../../src/problems.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { killAt } from '../support/kill-at.ts'
import { poolOf } from '../support/postgres.ts'

// Adopts what stands in the log of a table, as a process that can be killed; tells the answer on its standard output.
// Takes, if it is to be killed, a step, and which call of it.

const [connectionString = '', tableId = '', root = '', step = '', count = '0'] =
  process.argv.slice(2)
if (step !== '') await killAt(step, Number(count), 'SIGKILL')

const db = createDb(poolOf({ connectionString }, { max: 1 }))
const stagePool = poolOf({ connectionString }, { max: 1, pipeline: false })
const context = {
  db,
  stagePool,
  storage: createStorage(loadConfig({ ...process.env, MIRROR_ROOTS: root })),
  idempotencyRetentionMs: 60_000,
  onMirrorRetry() {},
  onCommitted() {},
}
const { answer, replayed } = await adoptCommits(context, tableId, {
  idempotent: { key: tableId, requestHash: Buffer.from('the same') },
  answer: (result) =>
    result instanceof Problem
      ? { status: result.status, headers: {}, body: result.message }
      : { status: 200, headers: {}, body: String(result.publishedVersion) },
})
console.log(JSON.stringify({ ...answer, replayed }))
await stagePool.end()
await db.destroy()
