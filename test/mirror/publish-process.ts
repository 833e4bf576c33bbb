import { loadConfig } from '../../src/config.ts'
import { createDb } from '../../src/database/connect.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { killAt } from '../support/kill-at.ts'
import { poolOf } from '../support/postgres.ts'

// Publishes tables once, as a process that can be killed; tells the results on its standard output. Takes, if it is to
// be killed, a step, which call of it, and a signal other than SIGKILL.

const [
  connectionString = '',
  tableIds = '',
  root = '',
  step = '',
  count = '0',
  signal = 'SIGKILL',
] = process.argv.slice(2)
if (step !== '') await killAt(step, Number(count), signal)

const db = createDb(poolOf({ connectionString }, { max: 1 }))
const job = {
  tableIds: tableIds.split(','),
  storage: createStorage(loadConfig({ ...process.env, MIRROR_ROOTS: root })),
  sweep: true,
}
console.log(JSON.stringify([...(await publishTables(db, job)).values()]))
await db.destroy()
