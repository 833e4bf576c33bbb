import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Head } from '../../src/commits/rows.ts'
import type { Verdict } from '../../src/commits/unit.ts'
import { histories, listLines, replay, runHistory } from './histories.ts'
import type { MemoryDatabase } from './memory-database.ts'

const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })

/** Fails the test with the smallest history that breaks the property. */
function holds<Values>(t: Test, property: fc.IProperty<Values>): void {
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }))
}

function liveAt({ files }: MemoryDatabase, tableId: string, version: number) {
  return files.filter(
    (file) =>
      file.tableId === tableId &&
      file.addedVersion <= version &&
      (file.removedVersion === null || file.removedVersion > version),
  )
}

function txnsAt({ actions }: MemoryDatabase, tableId: string, version: number) {
  return actions
    .filter(
      (row) =>
        row.tableId === tableId &&
        row.version <= version &&
        (row.supersededVersion === null || row.supersededVersion > version),
    )
    .map((row) => JSON.parse(row.action).txn)
    .map((txn) => [txn.appId, txn.version])
}

function checkVersion(database: MemoryDatabase, head: Head, version: number): void {
  const { live, txns } = replay(database, head.id, version)
  const paths = liveAt(database, head.id, version).map((file) => file.path)
  deepStrictEqual(paths.sort(), [...live.keys()].sort())
  deepStrictEqual(txnsAt(database, head.id, version).sort(), [...txns].sort())
  const commit = database.commits.find((row) => row.tableId === head.id && row.version === version)
  const files = [...live.values()]
  for (const totals of version === head.version ? [commit, head] : [commit]) {
    deepStrictEqual(totals?.numFiles, files.length)
    deepStrictEqual(
      totals?.sizeInBytes,
      files.reduce((sum, { size }) => sum + size, 0),
    )
    deepStrictEqual(
      totals?.numRecords,
      files.reduce((sum, { records }) => sum + records, 0),
    )
  }
}

t.test('at every version the rows say what a replay of the log says', async (t) => {
  holds(
    t,
    fc.property(histories, sizes, (steps, batchSizes) => {
      const { database } = runHistory(steps, batchSizes)
      for (const head of database.heads) {
        for (let version = 1; version <= head.version; version += 1) {
          checkVersion(database, head, version)
        }
      }
    }),
  )
})

t.test('a log file has each line of its commit once, in places without a gap', async (t) => {
  holds(
    t,
    fc.property(histories, sizes, (steps, batchSizes) => {
      const { database, verdicts } = runHistory(steps, batchSizes)
      for (const [index, verdict] of verdicts.entries()) {
        if (verdict.kind === 'refused') continue
        for (const { row } of verdict.commits) {
          const { tableId, version } = row
          const lines = listLines(database, tableId, version)
          deepStrictEqual(
            lines.map(([position]) => position),
            lines.map((_, at) => at + 1),
          )
          deepStrictEqual(
            lines.map(([, line]) => line),
            steps[index]?.lines,
          )
        }
      }
    }),
  )
})

t.test('how units fall into batches changes no verdict and no row but for the time', async (t) => {
  holds(
    t,
    fc.property(histories, sizes, (steps, batchSizes) => {
      const alone = runHistory(steps, [1])
      const batched = runHistory(steps, batchSizes)
      deepStrictEqual(batched.verdicts.map(inShort), alone.verdicts.map(inShort))
      deepStrictEqual(withoutTime(batched.database), withoutTime(alone.database))
    }),
  )
})

t.test('versions have no gap, and in-commit timestamps rise', async (t) => {
  holds(
    t,
    fc.property(histories, sizes, (steps, batchSizes) => {
      const { database } = runHistory(steps, batchSizes)
      for (const { id, version } of database.heads) {
        const own = database.commits.filter((row) => row.tableId === id)
        deepStrictEqual(
          own.map((row) => row.version),
          Array.from({ length: version }, (_, at) => at + 1),
        )
        for (const [at, row] of own.entries()) {
          ok(row.inCommitTimestamp > (own[at - 1]?.inCommitTimestamp ?? 0))
        }
      }
    }),
  )
})

t.test('a unit is refused for its fence where that is stale, and nowhere else', async (t) => {
  holds(
    t,
    fc.property(histories, sizes, (steps, batchSizes) => {
      const { verdicts } = runHistory(steps, batchSizes)
      deepStrictEqual(
        verdicts.map((one) => one.kind === 'refused' && one.problem.code === 'stale-fence'),
        steps.map(({ fence }) => fence === 1),
      )
    }),
  )
})

t.test('the random histories hold commits, refusals and removals', async (t) => {
  const seen = fc.sample(histories, 200).map((steps) => runHistory(steps, [3]))
  const verdicts = seen.flatMap((run) => run.verdicts)
  t.ok(verdicts.filter(({ kind }) => kind === 'committed').length > 200)
  t.ok(verdicts.filter(({ kind }) => kind === 'refused').length > 200)
  t.ok(
    seen.flatMap((run) => run.database.files).filter((file) => file.removedVersion !== null)
      .length > 50,
  )
})

function inShort(verdict: Verdict) {
  return verdict.kind === 'refused'
    ? verdict.problem.code
    : verdict.commits.map(({ row }) => [row.tableId, row.version])
}

function withoutTime({ heads, ...rows }: MemoryDatabase): unknown {
  const plain = (row: object) =>
    JSON.stringify({ ...row, inCommitTimestamp: undefined, commitInfo: undefined })
  const sorted = Object.values(rows).map((list: object[]) => list.map(plain).sort())
  return [heads.map(plain), ...sorted]
}
