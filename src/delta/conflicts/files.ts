/** Winners that add or remove files. */
import type { AddFile, RemoveFile } from '../actions.ts'
import type { PartitionColumn } from '../partitioning.ts'
import { quoted } from '../text.ts'
import type { Candidate } from './candidate.ts'
import type { Collision, ConflictCode, ConflictFacts } from './conflict.ts'
import { coversNewFiles } from './reads.ts'
import type { Winner } from './winner.ts'

type File = AddFile | RemoveFile
type Values = Readonly<Record<string, string | null>>

const shownPlaceMax = 200

/** The partition of a file by the names that people know; empty where it has none or does not tell it. */
function placeOf(values: Values, columns: readonly PartitionColumn[]): string {
  if (columns.length === 0 || Object.keys(values).length === 0) return ''
  const parts = columns.map(({ name, physicalName }) => {
    const value = Object.hasOwn(values, physicalName) ? values[physicalName] : null
    return `${name}=${value || null}`
  })
  const place = ` in partition [${parts.join(', ')}]`
  return place.length > shownPlaceMax ? `${place.slice(0, shownPlaceMax)}…` : place
}

/** Why a commit is held to have read a file, as a message goes on after "has read". */
interface Reason {
  because: string
  predicate?: number
}

/** Whether what a commit has read covers a file. */
function reasonToRead(
  { reads: { wholeTable, predicates } }: Candidate,
  { partitionValues, stats }: File,
): Reason | undefined {
  if (wholeTable) return { because: ', as it has read the whole table' }
  const facts = { partitionValues: partitionValues ?? {}, stats }
  const predicate = predicates.findIndex((test) => test(facts))
  return predicate === -1
    ? undefined
    : { because: `, as reads.predicates[${predicate}] can select it`, predicate }
}

/** What a winner did to a file, to be told with the file's name and place. */
interface Deed {
  code: ConflictCode
  verb: 'added' | 'removed'
  file: File
  /** Reads on from the file. */
  which: string
  predicate?: number | undefined
}

function collision(deed: Deed, columns: readonly PartitionColumn[]): Collision {
  const { code, verb, which, predicate } = deed
  const { path, partitionValues } = deed.file
  const facts: ConflictFacts = {
    path,
    ...(partitionValues && { partitionValues }),
    ...(predicate !== undefined && { predicate }),
  }
  const place = placeOf(partitionValues ?? {}, columns)
  return { code, did: `${verb} the file ${quoted(path)}${place}, which ${which}`, facts }
}

/** Whether a winner added a file that the commit should have read. */
export function appendCollision(
  candidate: Candidate,
  winner: Winner,
  columns: readonly PartitionColumn[],
): Collision | undefined {
  const { countedAdds } = candidate
  const isForgiven = countedAdds === 'not-of-blind-appends' && winner.isBlindAppend
  if (countedAdds === 'none' || isForgiven) return undefined
  for (const file of winner.adds) {
    const reason = reasonToRead(candidate, file)
    if (reason === undefined) continue
    const { because, predicate } = reason
    const which = `this commit should have read${because}`
    return collision({ code: 'concurrent-append', verb: 'added', file, which, predicate }, columns)
  }
  return undefined
}

/** Of the removes at these paths the one whose path sorts first. Costs what the smaller of the two holds. */
function removeAt(
  removes: ReadonlyMap<string, RemoveFile>,
  paths: ReadonlySet<string>,
): RemoveFile | undefined {
  const [few, many] = paths.size < removes.size ? [paths, removes] : [removes, paths]
  let first: string | undefined
  for (const path of few.keys()) {
    if (many.has(path) && (first === undefined || path < first)) first = path
  }
  return first === undefined ? undefined : removes.get(first)
}

/**
 * Whether a winner removed a file that the commit has read. It counts whether or not data changed with it,
 * and with it the removal of a file that the commit adds: it would bring back what the winner took away.
 */
export function deleteReadCollision(
  candidate: Candidate,
  { removes }: Winner,
  columns: readonly PartitionColumn[],
): Collision | undefined {
  const { reads, added } = candidate
  const told = (file: RemoveFile, which: string, predicate?: number) =>
    collision({ code: 'concurrent-delete-read', verb: 'removed', file, which, predicate }, columns)
  const read = removeAt(removes, reads.files)
  if (read !== undefined) return told(read, 'this commit has read')
  const broughtBack = removeAt(removes, added)
  if (broughtBack !== undefined) return told(broughtBack, 'this commit would bring back')
  if (!coversNewFiles(reads)) return undefined
  for (const file of removes.values()) {
    const reason = reasonToRead(candidate, file)
    if (reason === undefined) continue
    return told(file, `this commit has read${reason.because}`, reason.predicate)
  }
  return undefined
}

/** Whether a winner removed a file that the commit removes, whatever their deletion vectors. */
export function deleteDeleteCollision(
  { removed }: Candidate,
  { removes }: Winner,
  columns: readonly PartitionColumn[],
): Collision | undefined {
  const file = removeAt(removes, removed)
  if (file === undefined) return undefined
  const which = 'this commit removes too'
  return collision({ code: 'concurrent-delete-delete', verb: 'removed', file, which }, columns)
}
