import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'

// biome-ignore lint/suspicious/noExplicitAny: a log holds actions of every shape
type Any = any

/** A table at a version, as a plain replay of its log has it. */
export interface ModelState {
  protocol: Any
  metadata: Any
  txns: Map<string, Any>
  domains: Map<string, Any>
  /** Live files by path and deletion vector: the add itself. */
  files: Map<string, Any>
}

/** What tells files apart. */
export function fileId({ path, deletionVector }: Any): string {
  const { storageType = '', pathOrInlineDv = '', offset = '' } = deletionVector ?? {}
  return [decodePath(path), storageType, pathOrInlineDv, offset ?? ''].join('|')
}

function decodePath(path: string): string {
  const local = path.replace(/^file:\/+/, '/')
  return local.includes('%') ? decodeURIComponent(local) : local
}

/** A state in which nothing has happened. */
export function emptyState(): ModelState {
  return {
    protocol: undefined,
    metadata: undefined,
    txns: new Map(),
    domains: new Map(),
    files: new Map(),
  }
}

/** Brings a state forward by the actions of a version. */
export function apply(state: ModelState, actions: readonly Any[]): void {
  for (const { remove } of actions) if (remove) state.files.delete(fileId(remove))
  for (const { add, protocol, metaData, txn, domainMetadata } of actions) {
    if (add) state.files.set(fileId(add), add)
    if (protocol) state.protocol = protocol
    if (metaData) state.metadata = metaData
    if (txn) state.txns.set(txn.appId, txn)
    if (domainMetadata?.removed === true) state.domains.delete(domainMetadata.domain)
    else if (domainMetadata) state.domains.set(domainMetadata.domain, domainMetadata)
  }
}

/** The lines of a commit; undefined when it is not there. */
export async function commitLines(log: string, version: number): Promise<string[] | undefined> {
  const name = `${String(version).padStart(20, '0')}.json`
  const text = await readFile(join(log, name), 'utf8').catch(() => undefined)
  return text?.split('\n').flatMap((line) => (line.trim() === '' ? [] : line.trim()))
}

/** The version checksum that the writer of a table left; undefined when there is none that can be read. */
export async function checksum(log: string, version: number): Promise<Any> {
  const name = `${String(version).padStart(20, '0')}.crc`
  try {
    return JSON.parse(await readFile(join(log, name), 'utf8'))
  } catch {
    return undefined
  }
}

/** The folders below `root` that hold a Delta log, in the order of their names. */
export async function findTables(root: string): Promise<string[]> {
  const groups = await readdir(root, { withFileTypes: true })
  const found = await Promise.all(
    groups.map(async (group) => {
      if (!group.isDirectory()) return []
      const folders = await readdir(join(root, group.name))
      const withLog = await Promise.all(
        folders.map(async (name) => {
          const names: string[] = await readdir(join(root, group.name, name)).catch(() => [])
          return names.includes('_delta_log') ? [`${group.name}/${name}`] : []
        }),
      )
      return withLog.flat()
    }),
  )
  return found.flat().sort()
}

/** A value without what is null, members in the order of their names; numbers as numbers, whatever their size. */
export function normal(value: Any): Any {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(normal)
  if (value instanceof Map) return normal(Object.fromEntries(value))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([, one]) => one !== null && one !== undefined)
  return Object.fromEntries(members.map(([name, one]) => [name, normal(one)]).sort())
}

/** The state that a checkpoint in one Parquet file holds. Statistics are taken as JSON where they are there as such. */
export async function readBase(log: string, name: string): Promise<ModelState> {
  const bytes = await readFile(join(log, name))
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  const rows = await parquetReadObjects({ file: file as ArrayBuffer })
  const state = emptyState()
  const actions = rows.map((row) => normal(row))
  for (const { add } of actions) {
    if (!add) continue
    delete add.stats_parsed
    delete add.partitionValues_parsed
  }
  apply(
    state,
    actions.filter(({ remove }) => !remove),
  )
  return state
}
