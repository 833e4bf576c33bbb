import { createDb } from '../../src/database/connect.ts'
import { publishTable } from '../../src/mirror/publish-table.ts'
import { poolOf } from '../support/postgres.ts'

// Publishes a table once, as a process that can be killed; tells the result on its standard output.

const [connectionString = '', tableId = '', root = ''] = process.argv.slice(2)
const db = createDb(poolOf({ connectionString }, { max: 1 }))
console.log(JSON.stringify(await publishTable(db, { tableId, mirrorRoots: [root], sweep: true })))
await db.destroy()
