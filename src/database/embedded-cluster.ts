import { mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { hasCode, isAlive } from './embedded-processes.ts'
import { cannotRun, giveTo, type RunAs, spawnAs } from './embedded-user.ts'

/** The superuser of an embedded cluster, and the only user it starts with. */
export const EMBEDDED_USER = 'deltaworks'

interface NewCluster {
  folder: string
  initdb: string
  runAs: RunAs | undefined
  /** Whether to flush the new files to disk before use. */
  sync: boolean
}

/**
 * Creates the data folder of a PostgreSQL cluster unless there is one. It appears at once and
 * complete, so a crash leaves nothing half made and of several creators one wins.
 *
 * Throws when the folder holds something else, belongs to another user, or `initdb` fails.
 */
export async function createCluster(cluster: NewCluster): Promise<void> {
  await removeLeftovers(cluster.folder)
  if (await isCluster(cluster.folder)) return
  const draft = await mkdtemp(`${cluster.folder}.init-${process.pid}-`)
  try {
    await giveTo(cluster.runAs, draft)
    await runInitdb(cluster, draft)
    await moveIntoPlace(draft, cluster)
  } finally {
    await removeTree(draft)
  }
}

async function isCluster(folder: string): Promise<boolean> {
  const entries = await list(folder)
  if (entries.length === 0) return false
  if (entries.includes('PG_VERSION')) return true
  throw new Error(
    `${folder} is no data folder of PostgreSQL, and not empty. Move it away, or choose another DATA_DIR.`,
  )
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    if (!hasCode(error, 'EACCES')) throw error
    throw new Error(
      `${folder} belongs to another user. Run this server as that user, or choose another DATA_DIR.`,
      { cause: error },
    )
  }
}

/** Removes what creators left that were killed at work; what we may not remove stays. */
async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${basename(folder)}.init-`
  for (const entry of await readdir(dirname(folder))) {
    if (!entry.startsWith(prefix)) continue
    const creator = /^(\d+)-/.exec(entry.slice(prefix.length))?.[1]
    if (creator === undefined || isAlive(Number(creator))) continue
    await removeTree(join(dirname(folder), entry)).catch(() => undefined)
  }
}

/** Also where files still appear, because an orphaned initdb has not noticed yet. */
async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
}

async function runInitdb({ initdb, runAs, sync }: NewCluster, draft: string): Promise<void> {
  const child = spawnAs(
    runAs,
    [
      initdb,
      `--pgdata=${draft}`,
      `--username=${EMBEDDED_USER}`,
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--auth-local=trust',
      '--auth-host=reject',
      '--no-instructions',
      ...(sync ? [] : ['--no-sync']),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const { promise: ended, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', (error) => reject(cannotRun(initdb, error))).once('close', resolve)
  const [messages, code] = await Promise.all([child.stderr ? text(child.stderr) : '', ended])
  if (code !== 0) throw new Error(`initdb could not create ${draft}: ${messages.trim()}`)
}

async function moveIntoPlace(draft: string, { folder, sync }: NewCluster): Promise<void> {
  try {
    await rename(draft, folder)
  } catch (error) {
    // Somebody else was faster: isCluster() throws if that is no cluster.
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST') && (await isCluster(folder))) return
    throw error
  }
  if (!sync) return
  const parent = await open(dirname(folder))
  await parent.sync().finally(() => parent.close())
}
