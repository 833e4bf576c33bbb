import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { createDb, type Db } from '../../src/database/connect.ts'
import { listPendingMigrations, migrate } from '../../src/database/migrate.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'
import { runCommand } from '../support/process.ts'

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url))

t.test('an empty database gets every migration in order, and the next run none', async (t) => {
  const { db } = await emptyDatabase(t)
  const pending = await listPendingMigrations(db)
  t.equal(pending[0], '0001_tables')
  t.strictSame(await migrate(db), pending)
  t.strictSame(await migrate(db), [])
  t.strictSame(await listPendingMigrations(db), [])
  t.strictSame(await db.selectFrom('tables').selectAll().execute(), [])
})

t.test('of twenty servers that start at once one applies, all find it done', async (t) => {
  const { db, connect } = await emptyDatabase(t)
  const pending = await listPendingMigrations(db)
  const results = await Promise.all(Array.from({ length: 20 }, () => migrate(connect())))
  t.strictSame(
    results.filter((applied) => applied.length > 0),
    [pending],
  )
  t.strictSame(await listPendingMigrations(db), [])
})

t.test('of six processes that start at once one applies, all find it done', async (t) => {
  const { db, url } = await emptyDatabase(t)
  const results = await Promise.all(
    Array.from({ length: 6 }, () => runCommand(t, ['migrate'], { DATABASE_URL: url })),
  )
  for (const { code, stderr } of results) t.match({ code, stderr }, { code: 0, stderr: /^$/ })
  const told = results.filter(({ stdout }) => stdout.includes('the schema was brought up to date'))
  t.equal(told.length, 1)
  t.strictSame(await listPendingMigrations(db), [])
})

t.test('a migration that fails is named and leaves nothing behind', async (t) => {
  const { db } = await emptyDatabase(t)
  const folder = await copyMigrations(t)
  await writeFile(new URL('9001_first.sql', folder), 'create table first (id int)')
  await writeFile(new URL('9002_second.sql', folder), 'create table second (id int); select 1/0')
  await t.rejects(migrate(db, folder), {
    message: 'the migration 9002_second failed: division by zero',
  })
  t.strictSame(await ownTables(db), ['migrations', 'migrations_lock'])
  await writeFile(new URL('9002_second.sql', folder), 'create table second (id int)')
  t.strictSame((await migrate(db, folder)).slice(-2), ['9001_first', '9002_second'])
})

t.test('a killed migration leaves nothing behind and the next one goes through', async (t) => {
  const { db, connect } = await emptyDatabase(t)
  const folder = await copyMigrations(t)
  await writeFile(
    new URL('9001_suicide.sql', folder),
    'create table half (id int); select pg_terminate_backend(pg_backend_pid())',
  )
  await t.rejects(migrate(connect(), folder))
  t.strictSame(await ownTables(db), ['migrations', 'migrations_lock'])
  t.not((await migrate(db)).length, 0)
})

t.test('a database that a newer version has migrated is refused in clear words', async (t) => {
  const { db } = await emptyDatabase(t)
  const folder = await copyMigrations(t)
  await writeFile(new URL('9001_from_the_future.sql', folder), 'create table future (id int)')
  await migrate(db, folder)
  await t.rejects(migrate(db), {
    name: 'NewerSchemaError',
    message: /the migration 9001_from_the_future, which this version .* does not know/,
  })
  t.strictSame(await listPendingMigrations(db), [])
})

t.test('tables of others that are called migrations too do not disturb', async (t) => {
  const { db } = await emptyDatabase(t)
  await sql.raw('create schema storage; create table storage.migrations (id int)').execute(db)
  t.not((await migrate(db)).length, 0)
  t.strictSame(await listPendingMigrations(db), [])
})

t.test('two schemas of one database are migrated apart', async (t) => {
  const { url } = await emptyDatabase(t)
  const inSchema = (name: string) => {
    const db = createDb(
      poolOf({
        connectionString: `${url}?options=${encodeURIComponent(`-c search_path=${name}`)}`,
      }),
    )
    t.teardown(() => db.destroy())
    return db
  }
  await sql.raw('create schema one; create schema two').execute(inSchema('public'))
  const first = await migrate(inSchema('one'))
  t.not(first.length, 0)
  t.strictSame(await migrate(inSchema('two')), first)
})

/** A database without a schema, with a pool of one server and the way to make more. */
async function emptyDatabase(t: Test) {
  const database = await createTestDatabase({ empty: true })
  t.teardown(() => database.drop())
  const connect = () => {
    const db = createDb(poolOf(database.connection, { max: 2 }))
    t.teardown(() => db.destroy())
    return db
  }
  return { db: connect(), connect, url: database.url }
}

/** The migrations in a folder of the test's own, where more can be added. */
async function copyMigrations(t: Test): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-migrations-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await cp(migrations, folder, { recursive: true })
  return pathToFileURL(`${folder}/`)
}

async function ownTables(db: Db): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' order by table_name`.execute(db)
  return rows.map((row) => row.name)
}
