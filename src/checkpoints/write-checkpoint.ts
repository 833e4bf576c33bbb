import { createHash, randomUUID } from 'node:crypto'
import type { RawBuilder } from 'kysely'
import type { Db, Pool } from '../database/connect.ts'
import { copyOut } from '../database/copy-out.ts'
import {
  canonicalJson,
  lastCheckpointText,
  type WrittenCheckpoint,
} from '../delta/checkpoints/last-checkpoint.ts'
import { sidecarFileName } from '../delta/checkpoints/log-retention.ts'
import { type CheckpointSettings, checkpointSettings } from '../delta/checkpoints/settings.ts'
import {
  checkpointFileName,
  deltaLogOf,
  lastCheckpointName,
  parseLogFileName,
  sidecarFolder,
  uuidCheckpointFileName,
} from '../delta/log-files.ts'
import { metadataOfLine } from '../delta/table-state.ts'
import { getActionInForce } from '../snapshots/queries.ts'
import type { Folder, Storage } from '../storage/storage.ts'
import { startEncoder } from './encoder.ts'
import { inBlocks, inParts, inTurn, linesOf } from './line-sources.ts'
import type { EncodedCounts, EncodingOptions } from './parquet-encoding.ts'
import {
  allActionsInForce,
  allFileActions,
  type CheckpointRows,
  findCheckpointGround,
} from './queries.ts'
import { isWhole } from './whole-file.ts'

export interface CheckpointContext {
  db: Db
  /** For COPY, without pipelines. */
  copyPool: Pool
  storage: Storage
  /** A checkpoint by the V2 spec of more files keeps them in sidecars of so many actions each. */
  sidecarActionsMax: number
}

/** A file of a checkpoint; its name is relative to the log. */
export interface CheckpointFile extends EncodedCounts {
  name: string
  sizeInBytes: number
  modifiedAt: number
}

/** A checkpoint that stands in its log. */
export interface Checkpoint extends WrittenCheckpoint {
  /** Sidecars first. */
  files: readonly CheckpointFile[]
}

/** Small pieces would cost more to hand over than to encode. */
const blockBytes = 1024 * 1024

/** What is needed at each step of writing one. */
interface Work {
  folder: Folder
  settings: CheckpointSettings
  version: number
  headLines: () => AsyncIterable<Uint8Array>
  fileLines: () => AsyncIterable<Uint8Array>
  sidecarActionsMax: number
  signal: AbortSignal
}

/**
 * Writes the checkpoint of a version, which must be published, and makes it the one that readers find first. It is
 * streamed from the database in bounded memory; no reader sees a part of a file.
 * Only for who has claimed it: what others left half done is swept away. Throws when `signal` is aborted.
 */
export async function writeCheckpoint(
  { db, copyPool, storage, sidecarActionsMax }: CheckpointContext,
  { signal, ...at }: { tableId: string; version: number; signal: AbortSignal },
): Promise<Checkpoint> {
  const ground = await findCheckpointGround(db, at)
  if (ground === undefined) throw new Error(`table ${at.tableId} has no version ${at.version}`)
  const [metaData, protocol] = await Promise.all([
    getActionInForce(db, at, 'metaData'),
    getActionInForce(db, at, 'protocol'),
  ])
  const settings = checkpointSettings(metadataOfLine(metaData), JSON.parse(protocol).protocol)
  const { tombstoneMs, appTransactionMs } = settings
  const rows: CheckpointRows = {
    ...at,
    tombstonesSince: ground.now - tombstoneMs,
    appTransactionsSince:
      appTransactionMs === undefined ? undefined : ground.now - appTransactionMs,
  }
  const folder = await storage.open(deltaLogOf(ground.location))
  const work: Work = {
    folder,
    settings,
    version: at.version,
    headLines: () => read(copyPool, allActionsInForce(rows)),
    fileLines: () => read(copyPool, allFileActions(rows)),
    sidecarActionsMax,
    signal,
  }
  await folder.sweep(isOfCheckpoint)
  const hasSidecars = settings.isV2 && ground.numFiles > sidecarActionsMax
  const checkpoint = await (hasSidecars ? writeWithSidecars(work) : writeAlone(work))
  // What the pointer leads to must be safe before it.
  await folder.sync()
  await pointTo(folder, checkpoint)
  await folder.sync()
  return checkpoint
}

async function* read(pool: Pool, query: RawBuilder<unknown>): AsyncGenerator<Uint8Array> {
  yield* await copyOut(pool, query)
}

/** All in one file. */
async function writeAlone(work: Work): Promise<Checkpoint> {
  const { settings, version, headLines, fileLines } = work
  const v2Lines = () => linesOf(settings.isV2 ? [{ checkpointMetadata: { version } }] : [])
  const file = await writeFile(work, {
    name: settings.isV2
      ? uuidCheckpointFileName(version, randomUUID())
      : checkpointFileName(version),
    content: 'all',
    lines: inTurn(headLines, v2Lines, fileLines),
  })
  return checkpointOf(work, [file])
}

/** Files in sidecars, several of them, and one file that names those. */
async function writeWithSidecars(work: Work): Promise<Checkpoint> {
  const { version, headLines, fileLines, sidecarActionsMax } = work
  const sidecars: CheckpointFile[] = []
  for await (const lines of inParts(fileLines(), sidecarActionsMax)) {
    const name = `${sidecarFolder}/${sidecarFileName(version, randomUUID())}`
    sidecars.push(await writeFile(work, { name, content: 'files', lines }))
  }
  const actions = sidecars.map(({ name, sizeInBytes, modifiedAt }) => ({
    sidecar: {
      path: name.slice(sidecarFolder.length + 1),
      sizeInBytes,
      modificationTime: modifiedAt,
    },
  }))
  const v2Lines = () => linesOf([{ checkpointMetadata: { version } }, ...actions])
  const top = await writeFile(work, {
    name: uuidCheckpointFileName(version, randomUUID()),
    content: 'all',
    lines: inTurn(headLines, v2Lines),
  })
  return checkpointOf(work, [...sidecars, top])
}

function checkpointOf({ version, settings }: Work, files: readonly CheckpointFile[]): Checkpoint {
  const sum = (of: (file: CheckpointFile) => number) =>
    files.reduce((total, file) => total + of(file), 0)
  return {
    version,
    files,
    numActions: sum(({ numActions }) => numActions),
    numAddFiles: sum(({ numAddFiles }) => numAddFiles),
    sizeInBytes: sum(({ sizeInBytes }) => sizeInBytes),
    top: settings.isV2 ? files.at(-1) : undefined,
  }
}

/**
 * Writes a file. One that is there already holds the same state of the table, and stays, unless it ends too early, so that
 * nobody can read it.
 */
async function writeFile(
  { folder, settings, signal }: Work,
  {
    name,
    content,
    lines,
  }: Pick<EncodingOptions, 'content'> & { name: string; lines: AsyncIterable<Uint8Array> },
): Promise<CheckpointFile> {
  const file = await folder.begin(name)
  try {
    let written = 0
    await using encoder = startEncoder({ settings, content }, async (bytes) => {
      written += bytes.length
      await file.append(bytes)
    })
    for await (const bytes of inBlocks(lines, blockBytes)) {
      signal.throwIfAborted()
      await encoder.write(bytes)
    }
    const counts = await encoder.finish()
    const modifiedAt = Date.now()
    await file.seal(modifiedAt)
    let isOther = (await file.putIfAbsent()) === 'other'
    if (isOther && !(await isWhole(folder, name))) {
      await file.replace()
      isOther = false
    }
    const sizeInBytes = isOther ? ((await folder.size(name)) ?? written) : written
    return { ...counts, name, sizeInBytes, modifiedAt }
  } finally {
    await file.discard()
  }
}

function isOfCheckpoint(name: string): boolean {
  return (
    name === lastCheckpointName ||
    name.startsWith(`${sidecarFolder}/`) ||
    parseLogFileName(name)?.kind === 'checkpoint'
  )
}

async function pointTo(folder: Folder, checkpoint: WrittenCheckpoint): Promise<void> {
  const text = lastCheckpointText(checkpoint)
  const checksum = createHash('md5').update(canonicalJson(text)).digest('hex')
  const file = await folder.begin(lastCheckpointName)
  try {
    await file.append(`${text.slice(0, -1)},"checksum":"${checksum}"}`)
    await file.seal()
    await file.replace()
  } finally {
    await file.discard()
  }
}
