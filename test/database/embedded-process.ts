import { startEmbeddedPostgres } from '../../src/database/embedded.ts'
import { claimEmbeddedPostgres } from '../../src/database/embedded-claim.ts'

// A server process for the tests: brings up the database of a folder, claims it if asked to, says
// so in one line on its standard output, and lives until it is killed or its input ends.

const [folder = '', task] = process.argv.slice(2)
const ignore = () => undefined
const log = { info: ignore, warn: ignore, error: ignore }

const db = await startEmbeddedPostgres({ folder, settings: { fsync: 'off' }, log })
if (task === 'claim') {
  await claimEmbeddedPostgres({
    connection: db.connection,
    dataDir: folder,
    log,
    onLost: ignore,
  })
}
console.log(JSON.stringify(db.connection))
process.stdin.resume().once('end', () => process.exit())
