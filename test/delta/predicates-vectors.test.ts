import fc from 'fast-check'
import t from 'tap'
import type { PredicateColumn } from '../../src/delta/predicates/columns.ts'
import { beginVectors } from '../../src/delta/predicates/vector-entries.ts'
import type { FileVectors } from '../../src/delta/predicates/vector-tests.ts'
import { createDictionary, joinVectors } from '../../src/delta/predicates/vectors.ts'
import type { Predicate } from '../../src/delta/predicates.ts'
import { randomClaim } from './predicates/claims.ts'
import { type ModelFile, randomFile, randomTable } from './predicates/files.ts'
import type { Pick } from './predicates/model.ts'
import { parsed } from './predicates/support.ts'

const place = (count: number) => fc.noBias(fc.nat(count - 1))

/** The files as vectors, entered in two parts and joined, as a table that has grown. */
function vectorsOf(predicate: Predicate, files: readonly ModelFile[], first: number): FileVectors {
  const columns = [...predicate.partitionColumns, ...predicate.statisticsColumns]
  const entered = columns.map((column) => ({
    column,
    dictionary: column.isPartition ? createDictionary() : undefined,
  }))
  const entries = beginVectors(entered)
  const [before, after] = [files.slice(0, first), files.slice(first)].map((part) => {
    for (const file of part) entries.enter(file)
    return entries.pack()
  })
  const joined = new Map<PredicateColumn, ReturnType<typeof joinVectors>>()
  for (const [index, column] of columns.entries()) {
    const [one, other] = [before?.[index], after?.[index]]
    if (one !== undefined && other !== undefined) joined.set(column, joinVectors(one, other))
  }
  const vectorOf = (column: PredicateColumn) => {
    const vector = joined.get(column)
    if (vector === undefined) throw new Error(`no vector of ${column.name}`)
    return vector
  }
  return { count: files.length, vectorOf }
}

/** Verdicts by what they were, so that the test can show that it has met them all. */
const met = { kept: 0, partitions: 0, statistics: 0 }

t.test('files tested by their vectors get the verdicts that they get one by one', async () => {
  fc.assert(
    fc.property(fc.gen(), (generate) => {
      const pick: Pick = (options) => options[generate(place, options.length)] as never
      const model = randomTable(pick)
      const files = Array.from({ length: pick([1, 4, 9]) }, () => randomFile(model, pick))
      const claim = randomClaim(model, 3, pick)
      const predicate = parsed(claim.node, model.table)
      const first = pick(files.map((_, index) => index))
      const verdicts = predicate.testVectors(vectorsOf(predicate, files, first))
      for (const [index, file] of files.entries()) {
        const { prunedBy } = predicate.test(file)
        const byStatistics = verdicts.inPartitions[index] ? 'statistics' : 'partitions'
        const found = verdicts.kept[index] ? undefined : byStatistics
        met[prunedBy ?? 'kept'] += 1
        if (found !== prunedBy) throw new Error(JSON.stringify({ found, prunedBy, claim, file }))
      }
    }),
    { numRuns: 2000 },
  )
})

t.test('all kinds of verdicts were met', async (t) => {
  t.comment(JSON.stringify(met))
  for (const count of Object.values(met)) t.ok(count > 500)
})
