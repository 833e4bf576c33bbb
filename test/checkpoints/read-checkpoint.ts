import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'

/** A row of a checkpoint file without the columns and fields that are null. */
// biome-ignore lint/suspicious/noExplicitAny: a test looks into actions of every shape
export type CheckpointEntry = Record<string, Record<string, any>>

const compressors = {
  GZIP: (bytes: Uint8Array) => gunzipSync(bytes),
  ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes),
}

/** The rows of a file of a checkpoint, with longs as numbers. */
export async function readCheckpoint(log: string, name: string): Promise<CheckpointEntry[]> {
  const file = await asyncBufferFromFile(join(log, name))
  const rows = await parquetReadObjects({ file, compressors })
  return rows.map((row) => withoutNulls(row) as CheckpointEntry)
}

/** How the columns of a file of a checkpoint are stored, by their path, with physical and logical type. */
export async function storedColumns(log: string, name: string): Promise<string[]> {
  const { schema } = await parquetMetadataAsync(await asyncBufferFromFile(join(log, name)))
  const open: { path: string; left: number }[] = []
  return schema.flatMap((element) => {
    while (open.at(-1)?.left === 0) open.pop()
    const parent = open.at(-1)
    if (parent) parent.left -= 1
    const path = parent?.path ? `${parent.path}.${element.name}` : element.name
    const isRoot = parent === undefined
    if (element.num_children) open.push({ path: isRoot ? '' : path, left: element.num_children })
    if (isRoot) return []
    const kind = element.type ?? 'group'
    const { repetition_type: repetition, converted_type: converted } = element
    return [[path, repetition, kind, converted].filter(Boolean).join(' ')]
  })
}

/** Their nulls mean something. */
const maps: ReadonlySet<string> = new Set(['partitionValues', 'tags', 'options'])

function withoutNulls(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (value instanceof Date || value instanceof Uint8Array) return value
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([, member]) => (member ?? null) !== null)
  return Object.fromEntries(
    members.map(([name, member]) => [name, maps.has(name) ? member : withoutNulls(member)]),
  )
}
