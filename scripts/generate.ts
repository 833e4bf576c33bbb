/**
 * Makes every file of the project that follows from another: run it after a change of a route, a problem or a
 * migration. With `--verify` it writes nothing and fails when a committed file is not what it would write.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, createPool, type Db } from '../src/database/connect.ts'
import { type EmbeddedConnection, startEmbeddedPostgres } from '../src/database/embedded.ts'
import { migrate } from '../src/database/migrate.ts'
import { describeApi } from '../src/describe-api.ts'
import { describeErrors } from './generate/errors-page.ts'
import { describeRows } from './generate/row-types.ts'
import { describeSchema } from './generate/schema-sql.ts'

const root = new URL('..', import.meta.url)

async function generate(): Promise<Map<string, string>> {
  return withDatabase(async (db, connection) => {
    await migrate(db)
    return new Map([
      ['openapi/openapi.json', await describeApi()],
      ['docs/errors.md', describeErrors()],
      ['migrations/schema.sql', await describeSchema(db)],
      ['src/database/types.ts', await describeRows(connection)],
    ])
  })
}

/** Runs `work` on an empty database of its own. */
async function withDatabase<Result>(
  work: (db: Db, connection: EmbeddedConnection) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-generate-'))
  const log = { info() {}, warn() {}, error: console.error }
  const settings = { fsync: 'off' }
  const postgres = await startEmbeddedPostgres({ folder: join(folder, 'postgres'), settings, log })
  const { connection } = postgres
  const wait = 60_000
  const db = createDb(
    createPool({
      connection,
      max: 2,
      waitMsMax: wait,
      lockMsMax: wait,
      statementMsMax: wait,
      onError: () => {},
    }),
  )
  try {
    return await work(db, connection)
  } finally {
    await db.destroy()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function verify(files: Map<string, string>): Promise<void> {
  for (const [name, text] of files) {
    const committed = await readFile(new URL(name, root), 'utf8').catch(() => '')
    if (committed === text) continue
    console.error(`${name} is not up to date. Run: npm run generate`)
    process.exitCode = 1
  }
  if (process.exitCode === undefined) console.log(`${files.size} generated files are up to date.`)
}

const files = await generate()
if (process.argv.includes('--verify')) await verify(files)
else for (const [name, text] of files) await writeFile(new URL(name, root), text)
