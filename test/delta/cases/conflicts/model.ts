/**
 * What conflicts are, written straight from the definitions: the table is played forward winner by winner,
 * and whatever the candidate has asked is asked again. Slow, and without a thought for it.
 */
import type { Action } from '../../../../src/delta/actions.ts'
import type { ConflictCode } from '../../../../src/delta/conflicts/conflict.ts'
import type { IsolationLevel } from '../../../../src/delta/conflicts/isolation.ts'
import { action, add, domain, metadata, protocol, remove, txn, vector } from '../../support.ts'

/** What a commit does to a path. Where the file is not there, `update` adds it and `remove` does nothing. */
export type FileStep = 'add' | 'update' | 'remove'

export interface Steps {
  files: Readonly<Record<string, FileStep>>
  appIds: readonly string[]
  domains: readonly string[]
  metadata: 'renamed' | 'vectors' | undefined
  protocol: 'vectors' | 'unknown' | undefined
}

export interface ModelWinner extends Steps {
  hasRead: boolean
}

export interface ModelCandidate extends Steps {
  level: IsolationLevel
  wholeTable: boolean
  parts: readonly string[]
  filesRead: readonly string[]
  appIdsRead: readonly string[]
  domainsRead: readonly string[]
}

/** A file: its rows change with its life, and each add of it is an arrival. */
interface ModelFile {
  life: number
  arrival: number
}

/** A table in which every change leaves the version that made it. */
export interface ModelTable {
  version: number
  files: ReadonlyMap<string, ModelFile>
  appIds: ReadonlyMap<string, number>
  domains: ReadonlyMap<string, number>
  renamedAt: number
  unknownAt: number
}

export function emptyTable(version: number, paths: readonly string[]): ModelTable {
  const files = paths.map((path) => [path, { life: version, arrival: version }] as const)
  const nothing = { appIds: new Map(), domains: new Map(), renamedAt: 0, unknownAt: 0 }
  return { version, files: new Map(files), ...nothing }
}

export const partOf = (path: string) => path.slice(0, path.indexOf('/'))

/** The file actions of a commit on a table. */
function fileActions(table: ModelTable, path: string, step: FileStep): Action[] {
  const isLive = table.files.has(path)
  const place = { partitionValues: { part: partOf(path) } }
  if (step === 'remove') return isLive ? [remove(path, place)] : []
  if (step === 'add' || !isLive) return [add(path, place)]
  return [remove(path, place), add(path, { ...place, deletionVector: vector('v') })]
}

export const vectorsOn = { configuration: { 'delta.enableDeletionVectors': 'true' } }
const shape = { partitionColumns: ['part'] }

/** The actions of a commit on a table. */
export function actionsOf(table: ModelTable, steps: Steps): Action[] {
  const files = Object.entries(steps.files).flatMap(([path, step]) =>
    fileActions(table, path, step),
  )
  const metadatas = {
    renamed: action('metaData', metadata({ ...shape, name: `of version ${table.version}` })),
    vectors: action('metaData', metadata({ ...shape, ...vectorsOn })),
  }
  const protocols = {
    vectors: action('protocol', protocol('deletionVectors')),
    unknown: action('protocol', protocol('deletionVectors', 'unknown')),
  }
  return [
    ...files,
    ...steps.appIds.map((appId) => txn(appId, 1)),
    ...steps.domains.map((name) => domain(name)),
    ...(steps.metadata ? [metadatas[steps.metadata]] : []),
    ...(steps.protocol ? [protocols[steps.protocol]] : []),
  ]
}

/** The table after a commit, all of it or without the files that it adds. */
export function play(table: ModelTable, steps: Steps, withAdds = true): ModelTable {
  const version = table.version + 1
  const files = new Map(table.files)
  const actions = actionsOf(table, steps)
  for (const { kind, body } of actions) if (kind === 'remove') files.delete(body.path)
  for (const { kind, body } of actions) {
    if (kind !== 'add' || !withAdds) continue
    const life = files.get(body.path)?.life ?? version
    files.set(body.path, { life, arrival: version })
  }
  const stamped = (names: readonly string[]) => names.map((name) => [name, version] as const)
  return {
    version,
    files,
    appIds: new Map([...table.appIds, ...stamped(steps.appIds)]),
    domains: new Map([...table.domains, ...stamped(steps.domains)]),
    renamedAt: steps.metadata === 'renamed' ? version : table.renamedAt,
    unknownAt: steps.protocol === 'unknown' ? version : table.unknownAt,
  }
}

/** Whether what the candidate has read covers a path, whatever lies there. */
function covers({ wholeTable, parts }: ModelCandidate, path: string): boolean {
  return wholeTable || parts.includes(partOf(path))
}

function namesOf(table: ModelTable, isMeant: (path: string) => boolean, of: keyof ModelFile) {
  const meant = [...table.files].filter(([path]) => isMeant(path))
  return new Set(meant.map(([path, file]) => `${path}@${file[of]}`))
}

/** The rows that the candidate has read, as names of the lives that hold them. */
export function rowsRead(candidate: ModelCandidate, table: ModelTable): Set<string> {
  const { filesRead } = candidate
  return namesOf(table, (path) => covers(candidate, path) || filesRead.includes(path), 'life')
}

export function isBlind(table: ModelTable, winner: ModelWinner): boolean {
  return !winner.hasRead && actionsOf(table, winner).every(({ kind }) => kind !== 'remove')
}

type Question = (table: ModelTable) => unknown

function changes(question: Question, before: ModelTable, after: ModelTable): boolean {
  return JSON.stringify(question(before)) !== JSON.stringify(question(after))
}

function loses(names: (table: ModelTable) => Set<string>, before: ModelTable, after: ModelTable) {
  const left = names(after)
  return [...names(before)].some((name) => !left.has(name))
}

interface Step {
  /** The table that the candidate was decided on. */
  read: ModelTable
  before: ModelTable
  winner: ModelWinner
}

/** Why the candidate may not follow one winner: the first of its questions that is answered anew. */
function judgeStep(candidate: ModelCandidate, { read, before, winner }: Step) {
  const { level } = candidate
  const after = play(before, winner)
  const isForgiven =
    level === 'SnapshotIsolation' ||
    (level === 'WriteSerializable' && isBlind(before, winner) && !candidate.metadata)
  const seen = play(before, winner, !isForgiven)
  const mine = actionsOf(read, candidate)
  const pathsOf = (kind: string) =>
    mine.flatMap((one) => (one.kind === kind ? [(one.body as { path: string }).path] : []))
  const [added, removed] = [pathsOf('add'), pathsOf('remove')]
  const appIds = [...candidate.appIdsRead, ...candidate.appIds]
  const domains = [...candidate.domainsRead, ...candidate.domains]
  const broughtBack = added.filter((path) => !removed.includes(path))
  const arrivals = (table: ModelTable) =>
    namesOf(table, (path) => covers(candidate, path), 'arrival')
  const livesAt = (paths: readonly string[]) => (table: ModelTable) =>
    namesOf(table, (path) => paths.includes(path), 'life')
  const reasons: [ConflictCode, boolean][] = [
    ['protocol-changed', Boolean(candidate.protocol && winner.protocol)],
    ['protocol-changed', changes((table) => table.unknownAt, before, after)],
    ['metadata-changed', Boolean(candidate.metadata && winner.metadata)],
    ['metadata-changed', changes((table) => table.renamedAt, before, after)],
    [
      'domain-metadata-conflict',
      domains.some(
        (name) =>
          name !== 'delta.rowTracking' &&
          changes((table) => table.domains.get(name), before, after),
      ),
    ],
    [
      'concurrent-transaction',
      appIds.some((appId) => changes((table) => table.appIds.get(appId), before, after)),
    ],
    ['concurrent-append', loses(arrivals, seen, before)],
    ['concurrent-delete-read', loses((table) => rowsRead(candidate, table), before, after)],
    ['concurrent-delete-read', loses(livesAt(broughtBack), before, after)],
    ['concurrent-delete-delete', loses(livesAt(removed), before, after)],
  ]
  return reasons.find(([, isReason]) => isReason)?.[0]
}

/** The first winner that the candidate may not follow, and why. */
export function judge(
  candidate: ModelCandidate,
  read: ModelTable,
  winners: readonly ModelWinner[],
): { code: ConflictCode; version: number } | undefined {
  let before = read
  for (const winner of winners) {
    const code = judgeStep(candidate, { read, before, winner })
    before = play(before, winner)
    if (code !== undefined) return { code, version: before.version }
  }
  return undefined
}
