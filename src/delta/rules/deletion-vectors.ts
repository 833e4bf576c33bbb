/** The rules of deletion vectors (PROTOCOL.md, "Deletion Vectors"). */
import type { DeletionVector, Exact, Long } from '../actions.ts'
import { isStorableText, quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import { isNonNegativeInt } from './bodies.ts'

type Vector = Exact<DeletionVector>

/** Z85 of a UUID. */
const uuidLength = 20
const z85 = /^[0-9A-Za-z.\-:+=^!/*?&<>()[\]{}@%$#]*$/
const absolute = /^(?:\/|[a-z][a-z0-9+.-]*:)/i
const unsafePrefix = /[/\\]|^\.{1,2}$/

function inlineFault({ pathOrInlineDv, offset }: Vector): string | undefined {
  if (offset !== null && offset !== undefined) return 'has an offset, but is inline; leave it out'
  const isEncoded = pathOrInlineDv.length % 5 === 0 && z85.test(pathOrInlineDv)
  return pathOrInlineDv !== '' && isEncoded ? undefined : 'is inline, but not in Z85 encoding'
}

function relativeFault({ pathOrInlineDv }: Vector): string | undefined {
  const id = pathOrInlineDv.slice(-uuidLength)
  const prefix = pathOrInlineDv.slice(0, -uuidLength)
  if (id.length < uuidLength || !z85.test(id)) {
    return `must name its file by a prefix and ${uuidLength} characters of Z85, not ${quoted(pathOrInlineDv)}`
  }
  if (unsafePrefix.test(prefix)) return `has a prefix that is no folder name: ${quoted(prefix)}`
  return undefined
}

function absoluteFault({ pathOrInlineDv }: Vector): string | undefined {
  return absolute.test(pathOrInlineDv)
    ? undefined
    : `is stored by absolute path, but ${quoted(pathOrInlineDv)} is relative`
}

const storageFaults = { i: inlineFault, u: relativeFault, p: absoluteFault } as const

function countFault({ offset, sizeInBytes, cardinality }: Vector): string | undefined {
  if (offset !== null && offset !== undefined && !isNonNegativeInt(offset)) {
    return 'must have an offset from 0 to 2147483647'
  }
  if (!isNonNegativeInt(sizeInBytes)) return 'must have a sizeInBytes from 0 to 2147483647'
  return cardinality >= 0 ? undefined : 'must have a non-negative cardinality'
}

/** Judges a deletion vector by itself. */
export function checkVector(vector: Vector, report: Report): void {
  const storable = isStorableText(vector.pathOrInlineDv)
  if (!storable) report('text-not-storable', 'deletionVector holds a NUL or unpaired surrogate')
  for (const fault of [storageFaults[vector.storageType](vector), countFault(vector)]) {
    if (fault !== undefined) report('deletion-vector-invalid', `deletionVector ${fault}`)
  }
}

/** What a deletion vector on an added file must fit. */
export interface VectorSite {
  numRecords: Long | undefined
  /** Whether the file does not have this very vector already. */
  isNew: boolean
  /** Whether the table takes new vectors. */
  isOn: boolean
}

/** Judges a deletion vector against the file that it is added with. */
export function checkAddedVector(vector: Vector, site: VectorSite, report: Report): void {
  checkVector(vector, report)
  if (site.isNew && !site.isOn) {
    const message =
      'deletionVector is new, but the table does not take any; set delta.enableDeletionVectors to true, with the table feature deletionVectors'
    report('deletion-vectors-off', message)
  }
  if (site.numRecords === undefined) {
    const message = 'stats must have numRecords where there is a deletionVector'
    report('deletion-vector-without-records', message)
  } else if (vector.cardinality > site.numRecords) {
    const message = `deletionVector removes ${vector.cardinality} of ${site.numRecords} rows; cardinality is at most stats.numRecords`
    report('deletion-vector-invalid', message)
  }
}
