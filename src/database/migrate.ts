import { readdir, readFile } from 'node:fs/promises'
import { sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import type { Db } from './connect.ts'

const folder = new URL('../../migrations/', import.meta.url)

/** The numbered SQL files of `migrations/`, by name, in order. */
async function readMigrations(): Promise<Record<string, Migration>> {
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

function migrator(db: Db): Migrator {
  return new Migrator({
    db,
    provider: { getMigrations: readMigrations },
    migrationTableName: 'migrations',
    migrationLockTableName: 'migrations_lock',
  })
}

/**
 * Brings the schema up to date, all pending files in one transaction, and answers the names of those applied.
 * Any number of servers may do so at once: a lock in the database lets one through at a time.
 */
export async function migrate(db: Db): Promise<string[]> {
  const { error, results = [] } = await migrator(db).migrateToLatest()
  if (error !== undefined) throw error
  return results.map((result) => result.migrationName)
}

/** The names of the migrations that this code knows and the database lacks. */
export async function listPendingMigrations(db: Db): Promise<string[]> {
  const all = await migrator(db).getMigrations()
  return all.filter((migration) => migration.executedAt === undefined).map(({ name }) => name)
}
