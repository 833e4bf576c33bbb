import {
  expiryCutoff,
  isExpired,
  isExpiredSidecar,
  searchCheckpoint,
} from '../delta/checkpoints/log-retention.ts'
import { logRetention } from '../delta/checkpoints/settings.ts'
import { commitFileName, deltaLogOf, sidecarFolder } from '../delta/log-files.ts'
import { getActionInForce } from '../snapshots/queries.ts'
import type { Folder, StoredFile } from '../storage/storage.ts'
import { findExpiry, recordCleanUp } from './queries.ts'
import { isWhole } from './whole-file.ts'
import type { CheckpointContext } from './write-checkpoint.ts'

/** Files removed at once. */
const removedAtOnce = 500

/**
 * Removes from the log what has outlived its time, where the table's properties ask for it: once for the commits of a
 * day. The database keeps its history. Answers how many files are gone.
 */
export async function cleanUpLog(
  { db, storage }: Pick<CheckpointContext, 'db' | 'storage'>,
  at: { tableId: string; version: number },
): Promise<number> {
  const { metaData } = JSON.parse(await getActionInForce(db, at, 'metaData'))
  const { retentionMs, isOn, protectedBefore } = logRetention(metaData)
  const expiry = isOn && (await findExpiry(db, at, (now) => expiryCutoff(now, retentionMs)))
  if (!expiry) return 0
  const folder = await storage.open(deltaLogOf(expiry.location))
  const keptFrom = await findKeptFrom(folder, expiry.newestExpired)
  const mayGo = keptFrom !== undefined && keptFrom >= protectedBefore
  const removed = mayGo ? await removeExpired(folder, { keptFrom, now: expiry.now }) : 0
  await recordCleanUp(db, { tableId: at.tableId, version: expiry.newestExpired })
  return removed
}

/** The version from which on the log is kept; undefined when nothing may go, for no checkpoint that old is whole. */
async function findKeptFrom(folder: Folder, newestExpired: number): Promise<number | undefined> {
  const search = searchCheckpoint(newestExpired)
  for await (const file of folder.list()) {
    if (!search.see(file)) break
  }
  const found = search.found()
  for (const name of found?.files ?? []) if (!(await isWhole(folder, name))) return undefined
  return found?.version
}

async function removeExpired(
  folder: Folder,
  kept: { keptFrom: number; now: number },
): Promise<number> {
  const { keptFrom } = kept
  const end = commitFileName(keptFrom + 1)
  const ofVersions = await removeWhere(folder, { prefix: '', end }, ({ name }) =>
    isExpired(name, keptFrom),
  )
  const prefix = `${sidecarFolder}/`
  const sidecars = await removeWhere(folder, { prefix }, ({ name, modifiedAt }) =>
    isExpiredSidecar({ name: name.slice(prefix.length), modifiedAt }, kept),
  )
  await folder.sync()
  return ofVersions + sidecars
}

/** Removes files below a prefix, of those before `end`; answers how many. */
async function removeWhere(
  folder: Folder,
  { prefix, end }: { prefix: string; end?: string },
  mayGo: (file: StoredFile) => boolean,
): Promise<number> {
  let removed = 0
  let names: string[] = []
  const remove = async () => {
    await folder.remove(names)
    removed += names.length
    names = []
  }
  for await (const file of folder.list({ prefix })) {
    if (end !== undefined && file.name > end) break
    if (mayGo(file)) names.push(file.name)
    if (names.length === removedAtOnce) await remove()
  }
  await remove()
  return removed
}
