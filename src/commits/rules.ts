import type { ActionOf, Long, Violation } from '../delta/actions.ts'
import type { Fault } from '../delta/faults.ts'
import { exactBody } from '../delta/json.ts'
import { addLongs, longMax } from '../delta/longs.ts'
import { isTold, noRowId } from '../delta/row-ids.ts'
import { physicalRecordCount, recordCount } from '../delta/statistics.ts'
import { Problem } from '../problems.ts'
import type { Head } from './rows.ts'
import type { StagedFiles } from './staged/staged-files.ts'
import type { Proposal } from './unit.ts'

interface PlacedAdd {
  action: ActionOf<'add'>
  index: number
}

/**
 * The adds at which the bytes, rows or row ids of a table would pass the range of a long. What a commit removes
 * is not taken off first, and files that keep their row ids are not left out: only a table beyond all measure is
 * told apart by that. The adds must be legal.
 */
export function sumViolations({ actions, staged }: Proposal, head: Head): Violation[] {
  if (staged !== undefined) return stagedSumViolations(staged, head)
  const adds = actions.flatMap((action, index) => (action.kind === 'add' ? { action, index } : []))
  if (areFarFromLongs(adds, head)) return []
  const sums = [
    { name: 'sizes', sum: head.sizeInBytes, of: (add: Body) => add.size },
    { name: 'numRecords', sum: head.numRecords, of: (add: Body) => recordCount(add) ?? 0 },
    {
      name: 'row ids',
      sum: nextRowId(head),
      of: (add: Body) => (isTold(add.baseRowId) ? 0 : (physicalRecordCount(add) ?? 0)),
    },
  ]
  const violations: Violation[] = []
  for (const { action, index } of adds) {
    const body = exactBody(action)
    for (const entry of sums) {
      const before = entry.sum
      entry.sum = addLongs(before, entry.of(body))
      if (entry.sum <= longMax || before > longMax) continue
      const message = `with this file the ${entry.name} of the table's files add up to more than ${longMax}`
      violations.push({ code: 'long-invalid', index, path: body.path, message })
    }
  }
  return violations
}

/** Where the files are staged, the first of them stands for all. */
function stagedSumViolations({ adds, numRowIds }: StagedFiles, head: Head): Violation[] {
  const sums = [
    { name: 'sizeInBytes', sum: addLongs(head.sizeInBytes, adds.sizeInBytes) },
    { name: 'numRecords', sum: addLongs(head.numRecords, adds.numRecords) },
    { name: 'row ids', sum: addLongs(nextRowId(head), numRowIds) },
  ]
  return sums.flatMap(({ name, sum }) => {
    if (sum <= longMax) return []
    const message = `with the files of this commit the ${name} of the table would be more than ${longMax}`
    return [{ code: 'long-invalid', index: 0, message }]
  })
}

/** It must be a long itself, for a file without rows has it too. */
function nextRowId({ rowIdHighWaterMark }: Head): Long {
  return addLongs(rowIdHighWaterMark ?? noRowId, 1)
}

type Body = ReturnType<typeof exactBody<ActionOf<'add'>>>

/** Numbers of at most 15 digits, and few enough of them, cannot come near the range: the common case is cheap. */
function areFarFromLongs(adds: readonly PlacedAdd[], head: Head): boolean {
  const half = 2 ** 62
  return (
    head.sizeInBytes < half &&
    head.numRecords < half &&
    (head.rowIdHighWaterMark ?? noRowId) < half &&
    adds.length <= 4000 &&
    !adds.some(({ action }) => manyDigits.test(action.json))
  )
}

const manyDigits = /\d{16}/

/** The refusal of reads that cannot be of the table. */
export function invalidReads(errors: readonly Fault[]): Problem {
  const [first] = errors
  return new Problem('invalid-request', `In the body: ${first?.pointer} ${first?.message}.`, {
    facts: { errors },
  })
}

/** The refusal of a read that is too far back to be judged. */
export function readTooOld(readVersion: number, head: Head): Problem {
  return new Problem(
    'read-too-old',
    `It cannot be told whether this is in conflict with what was committed since version ${readVersion}: that is too much, or before the history that is known. Read the table again.`,
    { facts: { tableId: head.id, currentVersion: head.version } },
  )
}

/** The refusal of a read of a version that is not there. */
export function unknownVersion(version: number, head: Head): Problem {
  return new Problem(
    'version-not-found',
    `The commit was decided on version ${version}, which the table does not have; its newest is ${head.version}.`,
    { facts: { tableId: head.id, currentVersion: head.version } },
  )
}
