import { cp, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { writeCheckpoint } from '../../src/checkpoints/write-checkpoint.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { verifyLog } from '../../src/mirror/verify/verify-log.ts'
import { Problem } from '../../src/problems.ts'
import type { Workplace } from '../../src/server.ts'
import { type ImportedTable, importTable } from '../../src/tables/import/import-table.ts'
import { removeBefore } from './checkpoints.ts'

/** A table that was taken over and whose log the service has written anew, from what it knows, to folders of its own. */
export interface Republished {
  /** The oldest version with a snapshot, and the newest. */
  from: number
  newest: number
  /** The version of the checkpoint in the last two folders. */
  checkpoint: number
  /** What its checkpoint says otherwise than its commits, which others have written so. */
  contradiction: string | undefined
  /** Its commits, and where the history begins with a checkpoint that one. */
  commits: string
  /** The same with a checkpoint. */
  checkpointed: string
  /** The same without all that came before that checkpoint. */
  trimmed: string
}

const { signal } = new AbortController()
/** So few that small tables have sidecars as well, where they have the V2 spec. */
const sidecarActionsMax = 3

/** Takes over the table in a folder, and has the publisher write its log to folders below `target`. Throws refusals. */
export async function republish(
  workplace: Workplace,
  { name, source, target }: { name: string; source: string; target: string },
): Promise<Republished> {
  const { table, history } = await takeOver(workplace, { name, location: source })
  const { id: tableId, version: newest } = table
  const { historyFrom: from, commitsFrom } = history
  const checkpoint = Math.ceil((from + newest) / 2)
  const contradiction = await verify(workplace, tableId)
  const folders = {
    commits: join(target, 'commits'),
    checkpointed: join(target, 'checkpointed'),
    trimmed: join(target, 'trimmed'),
  }
  await copyDataFiles(source, folders.commits)
  await moveTo(workplace, { tableId, location: folders.commits, publishedVersion: commitsFrom - 1 })
  const write = (version: number) =>
    writeCheckpoint({ ...workplace, sidecarActionsMax }, { tableId, version, signal })
  if (from > 0) await write(from)
  await publishAll(workplace, tableId)
  await cp(folders.commits, folders.checkpointed, { recursive: true, preserveTimestamps: true })
  await moveTo(workplace, { tableId, location: folders.checkpointed, publishedVersion: newest })
  await write(checkpoint)
  const fault = await verify(workplace, tableId)
  if (fault !== undefined) throw new Error(`what was written is not what was read: ${fault}`)
  await cp(folders.checkpointed, folders.trimmed, { recursive: true, preserveTimestamps: true })
  await removeBefore(join(folders.trimmed, '_delta_log'), checkpoint)
  return { from, newest, checkpoint, contradiction, ...folders }
}

/** The first thing that the log of a table says otherwise than the database. */
async function verify(workplace: Workplace, tableId: string): Promise<string | undefined> {
  const [first] = (await verifyLog(workplace, tableId)).differences.list
  return first && `${first.file}: ${first.message}`
}

async function takeOver(
  workplace: Workplace,
  request: { name: string; location: string },
): Promise<ImportedTable> {
  const results: (ImportedTable | Problem)[] = []
  await importTable(workplace, request, {
    idempotent: undefined,
    answer: (result) => {
      results.push(result)
      return { status: 201, headers: {}, body: '' }
    },
  })
  const [result] = results
  if (result === undefined || result instanceof Problem) throw result
  return result
}

/** All that is not the log, under the same names. */
async function copyDataFiles(source: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true })
  const names = (await readdir(source)).filter((name) => name !== '_delta_log')
  for (const name of names) await cp(join(source, name), join(target, name), { recursive: true })
}

/** From now on the log of the table is written there, from behind this version on. */
async function moveTo(
  { db }: Workplace,
  {
    tableId,
    location,
    publishedVersion,
  }: { tableId: string; location: string; publishedVersion: number },
): Promise<void> {
  await sql`update tables set location = ${location} where id = ${tableId}::uuid`.execute(db)
  await sql`
    update mirrors set published_version = ${publishedVersion}
    where table_id = ${tableId}::uuid`.execute(db)
}

async function publishAll({ db, storage }: Workplace, tableId: string): Promise<void> {
  for (let isMore = true; isMore; ) {
    const results = await publishTables(db, { tableIds: [tableId], storage, sweep: false })
    const result = results.get(tableId)
    if (result?.kind === 'forked' || result?.kind === 'failed') throw new Error(result.error)
    isMore = result?.kind === 'published' && result.more
  }
}
