import { readdir, readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import type { Db } from './connect.ts'

const migrationsFolder = new URL('../../migrations/', import.meta.url)

/** The numbered SQL files of a folder, by name, in order. */
async function readMigrations(folder: URL): Promise<Record<string, Migration>> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort()
  const entries = names.map(async (name) => {
    const text = await readFile(new URL(name, folder), 'utf8')
    const up = async (db: Parameters<Migration['up']>[0]) => {
      await sql.raw(text).execute(db)
    }
    return [name.replace(/\.sql$/, ''), { up }] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** Looks for its own tables in the schema that the migrations go to, whatever other schemas hold. */
async function createMigrator(db: Db, folder: URL): Promise<Migrator> {
  const { rows } = await sql<{ schema: string | null }>`
    select current_schema() as schema`.execute(db)
  const schema = rows[0]?.schema
  return new Migrator({
    db,
    provider: { getMigrations: () => readMigrations(folder) },
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
    ...(schema && { migrationTableSchema: schema }),
  })
}

/** The database was brought up to date by a newer version of this program. */
export class NewerSchemaError extends Error {
  override readonly name = 'NewerSchemaError'

  constructor(unknown: string) {
    super(
      `the database has the migration ${unknown}, which this version of the program does not know. ` +
        'Run the version that made it, or a newer one.',
    )
  }
}

/**
 * Brings the schema up to date, all pending files in one transaction, and answers the names of those applied.
 * Any number of servers may do so at once: a lock in the database lets one through at a time. Throws
 * `NewerSchemaError`, or what failed with the name of its file; then nothing has changed.
 */
export async function migrate(db: Db, folder = migrationsFolder): Promise<string[]> {
  const migrator = await createMigrator(db, folder)
  const { error, results = [] } = await migrator.migrateToLatest()
  if (error === undefined) return results.map((result) => result.migrationName)
  const message = error instanceof Error ? error.message : String(error)
  const [, unknown] = /previously executed migration (\S+) is missing/.exec(message) ?? []
  if (unknown !== undefined) throw new NewerSchemaError(unknown)
  const failed = results.find((result) => result.status === 'Error')
  if (failed === undefined) throw error
  throw new Error(`the migration ${failed.migrationName} failed: ${message}`, { cause: error })
}

/** The names of the migrations that this code knows and the database lacks. */
export async function listPendingMigrations(db: Db): Promise<string[]> {
  const migrator = await createMigrator(db, migrationsFolder)
  const all = await migrator.getMigrations()
  return all.filter((migration) => migration.executedAt === undefined).map(({ name }) => name)
}
