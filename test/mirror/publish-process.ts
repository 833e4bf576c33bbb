import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { loadConfig } from '../../src/config.ts'
import { createDb } from '../../src/database/connect.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { poolOf } from '../support/postgres.ts'

// Publishes tables once, as a process that can be killed; tells the results on its standard output. As `step` it takes
// a call to the file system and a number: it is killed right before the call of that number, or gets another signal.

const [
  connectionString = '',
  tableIds = '',
  root = '',
  step = '',
  count = '0',
  signal = 'SIGKILL',
] = process.argv.slice(2)
type Calls = Record<string, (...args: unknown[]) => unknown>
const handle = await fs.open(import.meta.filename)
const owners = [fs, Object.getPrototypeOf(handle)] as unknown as Calls[]
await handle.close()

let left = Number(count)
for (const calls of owners) {
  const call = calls[step]
  if (call === undefined) continue
  calls[step] = function (this: unknown, ...args: unknown[]) {
    left -= 1
    if (left === 0) process.kill(process.pid, signal)
    return call.apply(this, args)
  }
}
syncBuiltinESMExports()

const db = createDb(poolOf({ connectionString }, { max: 1 }))
const job = {
  tableIds: tableIds.split(','),
  storage: createStorage(loadConfig({ ...process.env, MIRROR_ROOTS: root })),
  sweep: true,
}
console.log(JSON.stringify([...(await publishTables(db, job)).values()]))
await db.destroy()
