import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { loadConfig } from '../../src/config.ts'
import { Problem } from '../../src/problems.ts'
import { type Workplace, withWorkplace } from '../../src/server.ts'
import type { Asked, Found, VersionFound } from './fingerprint.ts'
import type { FingerprintReader } from './fingerprint-readers.ts'
import { type Republished, republish } from './republish.ts'

/** A folder that holds a table, and what it is called. */
export interface SourceTable {
  name: string
  folder: string
  /** Whether this service has written it, so that no reader may refuse it. */
  isOurs?: boolean
}

/** What came of a table: what each reader says of it, in short, and all that differs. */
export interface RoundTrip {
  name: string
  covered: string
  /** By the name of the reader. */
  verdicts: Map<string, string>
  faults: string[]
}

/** A table that was republished, and all its folders, the original one first. */
interface Trip {
  source: SourceTable
  copy: Republished
  folders: (Asked & { what: string })[]
}

/**
 * Takes tables over and writes their logs anew, to empty folders below `folder`; then has each reader read the
 * originals and the copies, at several versions: from commits, with a checkpoint, and without the commits before it.
 */
export async function tripRound(
  tables: readonly SourceTable[],
  { folder, readers }: { folder: string; readers: readonly FingerprintReader[] },
): Promise<RoundTrip[]> {
  await mkdir(folder, { recursive: true })
  const roots = [folder, ...tables.map((table) => join(table.folder, '..'))]
  const config = loadConfig({ DATA_DIR: folder, MIRROR_ROOTS: [...new Set(roots)].join(':') })
  const log = pino({ level: 'silent' })
  const trips = await withWorkplace(config, log, async (workplace) => {
    const made: (Trip | RoundTrip)[] = []
    for (const source of tables) made.push(await copyTable(workplace, source, folder))
    return made
  })
  const results = new Map(trips.map((trip) => [trip, beginResult(trip)]))
  const copied = trips.filter((trip) => 'copy' in trip)
  for (const reader of readers) {
    const found = await reader.read(copied.flatMap(({ folders }) => folders))
    for (const trip of copied) {
      const own = found.splice(0, trip.folders.length)
      const faults = [...differences(trip, own), ...refusalsOfOurs(trip, own)].map(
        (fault) => `${reader.name}: ${fault}`,
      )
      const result = results.get(trip)
      result?.verdicts.set(reader.name, faults.length > 0 ? 'DIFFERS' : verdictOf(trip, own))
      result?.faults.push(...faults)
    }
  }
  return [...results.values()]
}

async function copyTable(
  workplace: Workplace,
  source: SourceTable,
  folder: string,
): Promise<Trip | RoundTrip> {
  const name = source.name.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  const target = join(folder, 'copies', name)
  try {
    const copy = await republish(workplace, { name, source: source.folder, target })
    return { source, copy, folders: foldersOf(source, copy) }
  } catch (error) {
    const isRefused = error instanceof Problem && error.code === 'delta-log-invalid'
    const reason = error instanceof Error ? error.message : String(error)
    const covered = `${isRefused ? 'not imported' : 'FAILED'}: ${reason}`
    return {
      name: source.name,
      covered,
      verdicts: new Map(),
      faults: isRefused ? [] : [reason],
    }
  }
}

function foldersOf({ folder }: SourceTable, copy: Republished): Trip['folders'] {
  const { from, newest, checkpoint } = copy
  const all = [...new Set([from, checkpoint, newest])]
  const late = all.filter((version) => version >= checkpoint)
  return [
    { what: 'the original', location: folder, newest, versions: all },
    { what: 'its commits', location: copy.commits, newest, versions: all },
    { what: 'with a checkpoint', location: copy.checkpointed, newest, versions: all },
    { what: 'from the checkpoint on', location: copy.trimmed, newest, versions: late },
  ]
}

function beginResult(trip: Trip | RoundTrip): RoundTrip {
  if (!('copy' in trip)) return trip
  const [original] = trip.folders
  return {
    name: trip.source.name,
    covered: [
      `versions ${original?.versions.join(', ')}`,
      ...(trip.copy.contradiction === undefined ? [] : [trip.copy.contradiction]),
    ].join('; '),
    verdicts: new Map(),
    faults: [],
  }
}

/**
 * Which folder the others are held against: the original; or its commits, where the original contradicts itself, or is
 * not what the checksums say that Hadoop keeps beside its files.
 */
function standardOf({ copy }: Trip, [original]: readonly Found[]): 0 | 1 {
  const isUnsound = original?.versions.some(({ error = '' }) => error.includes('ChecksumException'))
  return isUnsound === true || copy.contradiction !== undefined ? 1 : 0
}

/** What a reader finds in the copies that it does not find in the original, in words. */
function differences(trip: Trip, found: readonly Found[]): string[] {
  const read = trip.folders.map((folder, index) => ({
    ...folder,
    found: inWords(found[index], folder.location),
  }))
  const [first, ...copies] = read.slice(standardOf(trip, found))
  return copies.flatMap(({ what, found }) => {
    const wanted = first?.found
    if (wanted === undefined || found === undefined) return [`${what} was not read`]
    const newest =
      found.newest === wanted.newest ? [] : [`${what}: ${found.newest} instead of ${wanted.newest}`]
    return newest.concat(
      found.versions.flatMap((own) => {
        const other = wanted.versions.find(({ version }) => version === own.version)
        const members = differingMembers(own, other)
        return members.map((text) => `${what}, version ${own.version}: ${text}`)
      }),
    )
  })
}

function refusalsOfOurs({ source }: Trip, [original]: readonly Found[]): string[] {
  if (source.isOurs !== true) return []
  return (original?.versions ?? []).flatMap(({ version, error }) =>
    error === undefined ? [] : [`version ${version} of what we wrote: ${error}`],
  )
}

function differingMembers(own: VersionFound, other: VersionFound | undefined): string[] {
  if (other === undefined) return ['read in the copy alone']
  return (['schema', 'files', 'rows', 'hash', 'error'] as const)
    .filter((name) => own[name] !== other[name])
    .map((name) => `${name} ${own[name]} instead of ${other[name]}`)
}

/** Without what must be another: where the folder is, and what a reader calls a refusal. */
function inWords(found: Found | undefined, location: string): Found | undefined {
  return (
    found && {
      newest: typeof found.newest === 'string' ? reasonOf(found.newest, location) : found.newest,
      versions: found.versions.map(({ error, ...version }) =>
        error === undefined ? version : { ...version, error: reasonOf(error, location) },
      ),
    }
  )
}

const reasonLengthMax = 160

/** Refusals that readers have several words for: of a table without a schema, by what it was read from. */
const refusals: Readonly<Record<string, RegExp>> = {
  'the metadata has no schema': /unmasked nulls (in|for) non-nullable StructArray.*schemaString/,
}

/** Of several files that are missing or odd a reader names the one that it met first. */
function reasonOf(error: string, location: string): string {
  const known = Object.entries(refusals).find(([, words]) => words.test(error))
  if (known !== undefined) return known[0]
  const below = location.slice(1)
  return error
    .replaceAll(below, '…')
    .replaceAll(/[^\s"'(]*…[^\s"')]*/g, '…')
    .replaceAll(/\d+/g, '#')
    .slice(0, reasonLengthMax)
}

/** What is the same in all folders of a table that count. */
function verdictOf(trip: Trip, found: readonly Found[]): string {
  const at = standardOf(trip, found)
  const versions: readonly VersionFound[] = found[at]?.versions ?? []
  const read = versions.filter(({ error }) => error === undefined)
  const refused = versions.filter(({ error }) => error !== undefined)
  const reason = reasonOf(refused[0]?.error ?? '', trip.folders[at]?.location ?? '')
  return [
    ...(read.length > 0 ? [`same rows: ${read.map(({ rows }) => rows).join(', ')}`] : []),
    ...(refused.length > 0 ? [`same refusal: ${reason}`] : []),
  ].join('; ')
}
