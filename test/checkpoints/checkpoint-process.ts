import { createCheckpointer } from '../../src/checkpoints/checkpointer.ts'
import { loadConfig } from '../../src/config.ts'
import { createDb } from '../../src/database/connect.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { killAt } from '../support/kill-at.ts'
import { poolOf } from '../support/postgres.ts'

// Writes the checkpoint of a version, as a process that can be killed. Takes, if it is to be killed, a step, and which
// call of it.

const [connectionString = '', tableId = '', version = '', root = '', step = '', count = '0'] =
  process.argv.slice(2)
if (step !== '') await killAt(step, Number(count), 'SIGKILL')

const db = createDb(poolOf({ connectionString }, { max: 2 }))
const copyPool = poolOf({ connectionString }, { max: 2, pipeline: false })
const checkpointer = createCheckpointer({
  db,
  copyPool,
  storage: createStorage(loadConfig({ ...process.env, MIRROR_ROOTS: root })),
  sidecarActionsMax: 4,
  pollMs: 1000,
  takePublished: () => [],
  onCheckpoint() {},
  onCleanUp() {},
  onChecksums() {},
  log: console,
})
await checkpointer.write({ tableId, version: Number(version) })
await checkpointer.stop()
await copyPool.end()
await db.destroy()
