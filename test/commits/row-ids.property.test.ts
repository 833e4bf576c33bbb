import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { judgeBatch } from '../../src/commits/judge.ts'
import type { Unit, Verdict } from '../../src/commits/unit.ts'
import { deletionVectorId } from '../../src/delta/deletion-vectors.ts'
import { vector } from '../delta/support.ts'
import { listLines, toAction } from './histories.ts'
import { applyWrites, type MemoryDatabase, newHead, readState } from './memory-database.ts'

const tables = ['a', 'b']
const noKeys = { kept: new Map(), busy: new Set<string>() }
const kinds = ['add', 'add', 'add', 'vector', 'again', 'remove', 'restore', 'unknown'] as const

interface Step {
  kind: (typeof kinds)[number]
  path: string
  records: number
  /** Of a deletion vector. */
  seed: string
}

/** A commit to some tables at once: a step for each path. */
interface Writer {
  tables: string[]
  steps: Step[]
}

const writers: fc.Arbitrary<Writer[]> = fc.array(
  fc.record({
    tables: fc.subarray(tables, { minLength: 1 }),
    steps: fc.uniqueArray(
      fc.record({
        kind: fc.constantFrom(...kinds),
        path: fc.constantFrom('p', 'q', 'r', 's'),
        records: fc.nat(4),
        seed: fc.constantFrom('v', 'w'),
      }),
      { selector: (step) => step.path, maxLength: 3 },
    ),
  }),
  { maxLength: 14, size: 'max' },
)
const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })

interface Added {
  path: string
  // biome-ignore lint/suspicious/noExplicitAny: the body of an add as it stands in the log
  body: any
}

interface Lines {
  adds: Added['body'][]
  removes: Added['body'][]
  marks: object[]
}

function linesOf(database: MemoryDatabase, tableId: string, version: number): Lines {
  const lines = listLines(database, tableId, version).map(([, line]) => JSON.parse(line))
  const all = (kind: string) => lines.flatMap((line) => line[kind] ?? [])
  return { adds: all('add'), removes: all('remove'), marks: all('domainMetadata') }
}

/** Slow and obvious: a table as its log tells it, and what its rows should be called. */
class Replay {
  live = new Map<string, Added>()
  last = new Map<string, Added>()
  added: Added[] = []
  highest = -1

  constructor(database: MemoryDatabase, tableId: string) {
    const version = database.heads.find(({ id }) => id === tableId)?.version ?? 0
    for (let at = 1; at <= version; at += 1) this.#enter(linesOf(database, tableId, at), at)
  }

  #enter({ adds, removes, marks }: Lines, version: number): void {
    const before = new Map(this.live)
    const start = this.highest
    for (const remove of removes) this.#remove(remove)
    for (const add of adds) this.#add(add, before.get(add.path), version)
    const configuration = `{"rowIdHighWaterMark":${this.highest}}`
    const mark = { domain: 'delta.rowTracking', configuration, removed: false }
    deepStrictEqual(marks, this.highest === start ? [] : [mark])
  }

  #remove(remove: Added['body']): void {
    const file = this.live.get(remove.path)?.body
    if (deletionVectorId(file?.deletionVector) !== deletionVectorId(remove.deletionVector)) return
    deepStrictEqual(remove.baseRowId, file?.baseRowId)
    deepStrictEqual(remove.defaultRowCommitVersion, file?.defaultRowCommitVersion)
    this.live.delete(remove.path)
  }

  #add(add: Added['body'], known: Added | undefined, version: number): void {
    const { baseRowId, defaultRowCommitVersion } = add
    const isOld = ({ path, body }: Added) => path === add.path && body.baseRowId === baseRowId
    const former = known ?? (add.tags?.given ? this.added.find(isOld) : undefined)
    deepStrictEqual(baseRowId, former?.body.baseRowId ?? this.highest + 1)
    deepStrictEqual(defaultRowCommitVersion, former?.body.defaultRowCommitVersion ?? version)
    if (former === undefined) this.highest += JSON.parse(add.stats).numRecords
    const file = { path: add.path, body: add }
    this.live.set(add.path, file)
    this.last.set(add.path, file)
    this.added.push(file)
  }
}

/** The log line of a step by a writer that has just looked at the table. */
function toLines(step: Step, { live, last }: Replay): string[] {
  const { kind, path, records, seed } = step
  const file = live.get(path)?.body
  const fresh = { path, partitionValues: {}, size: 1, modificationTime: 1, dataChange: true }
  const stats = JSON.stringify({ numRecords: records })
  const removal = {
    remove: {
      path,
      dataChange: true,
      ...(file?.deletionVector && { deletionVector: file.deletionVector }),
    },
  }
  const { baseRowId: _, defaultRowCommitVersion: __, tags: ___, ...told } = file ?? {}
  switch (kind) {
    case 'add':
      return file ? [] : [JSON.stringify({ add: { ...fresh, baseRowId: null, stats } })]
    case 'unknown':
      return [JSON.stringify({ add: fresh })]
    case 'again':
      return file
        ? [
            JSON.stringify({
              add:
                records > 2 ? { ...file, tags: { given: 'yes' } } : { ...told, dataChange: false },
            }),
          ]
        : []
    case 'remove':
      return [JSON.stringify(removal)]
    case 'vector': {
      const deletionVector = { ...vector(seed), cardinality: 0 }
      const isSame = deletionVectorId(deletionVector) === deletionVectorId(file?.deletionVector)
      if (!file || isSame) return []
      return [JSON.stringify({ add: { ...told, deletionVector } }), JSON.stringify(removal)]
    }
    case 'restore': {
      const old = last.get(path)?.body
      return file || !old ? [] : [JSON.stringify({ add: { ...old, tags: { given: 'yes' } } })]
    }
  }
}

function trackingHead(id: string) {
  const head = newHead(id)
  const features = ['inCommitTimestamp', 'rowTracking', 'domainMetadata', 'deletionVectors']
  return {
    ...head,
    protocol: {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['deletionVectors'],
      writerFeatures: features,
    },
    metadata: {
      ...head.metadata,
      configuration: { ...head.metadata.configuration, 'delta.enableDeletionVectors': 'true' },
    },
  }
}

function run(history: readonly Writer[], batchSizes: readonly number[]) {
  const database: MemoryDatabase = {
    heads: tables.map(trackingHead),
    commits: [],
    files: [],
    actions: [],
  }
  const verdicts: Verdict[] = []
  for (let at = 0, turn = 0; at < history.length; turn += 1) {
    const batch = history.slice(at, at + (batchSizes[turn % batchSizes.length] ?? 1))
    const seen = new Map(tables.map((id) => [id, new Replay(database, id)]))
    const units = batch.map(
      ({ tables: names, steps }): Unit => ({
        parts: names.map((table) => {
          const view = seen.get(table) as Replay
          const actions = steps.flatMap((step) => toLines(step, view)).map(toAction)
          return { table, proposal: { operation: 'WRITE', info: new Map(), actions } }
        }),
        answer: (verdict) => {
          verdicts.push(verdict)
          return { status: 200, headers: {}, body: '' }
        },
      }),
    )
    applyWrites(database, judgeBatch(units, readState(database, units, 1000 + turn), noKeys).writes)
    at += batch.length
  }
  return { database, verdicts }
}

function checkDisjoint(added: readonly Added[]): void {
  const ranges = new Map<string, { from: number; to: number }>()
  for (const { path, body } of added) {
    const { numRecords } = JSON.parse(body.stats)
    if (numRecords > 0)
      ranges.set(`${path}/${body.baseRowId}`, {
        from: body.baseRowId,
        to: body.baseRowId + numRecords,
      })
  }
  const sorted = [...ranges.values()].sort((one, other) => one.from - other.from)
  for (const [at, { from }] of sorted.entries()) ok(from >= (sorted[at - 1]?.to ?? 0))
}

t.test(
  'rows of two files never have the same ids, and all are as a slow count gives them',
  async (t) => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(writers, sizes, (history, batchSizes) => {
          const { database } = run(history, batchSizes)
          for (const head of database.heads) {
            const { added, highest } = new Replay(database, head.id)
            checkDisjoint(added)
            deepStrictEqual(head.rowIdHighWaterMark ?? -1, highest)
            const ends = added.map(
              ({ body }) => body.baseRowId + JSON.parse(body.stats).numRecords - 1,
            )
            deepStrictEqual(Math.max(-1, ...ends), highest)
          }
        }),
        { numRuns: 500 },
      ),
    )
  },
)

t.test('the random histories hold all that can befall a file', async (t) => {
  const runs = fc.sample(writers, 300).map((history) => run(history, [2]))
  const lines = runs.flatMap(({ database }) =>
    tables.flatMap((id) =>
      database.commits.flatMap(({ tableId, version }) =>
        tableId === id ? listLines(database, id, version).map(([, line]) => line) : [],
      ),
    ),
  )
  for (const pattern of [
    /"given"/,
    /"add".*"deletionVector"/,
    /"remove".*baseRowId/,
    /rowIdHighWaterMark/,
  ]) {
    t.ok(lines.filter((line) => pattern.test(line)).length > 20, String(pattern))
  }
  const refusals = runs.flatMap(({ verdicts }) => verdicts.filter(({ kind }) => kind === 'refused'))
  t.ok(refusals.length > 100)
})
