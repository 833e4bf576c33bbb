import fc from 'fast-check'
import t from 'tap'
import type { Action, AddFile } from '../../src/delta/actions.ts'
import { deletionVectorId } from '../../src/delta/deletion-vectors.ts'
import type { TableState } from '../../src/delta/table-state.ts'
import { validateCommit } from '../../src/delta/validation.ts'
import { type ViolationCode, violationCodes } from '../../src/delta/violations.ts'
import { action, add, column, other, remove, stats, table, vector } from './support.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('', 'a', 'a/b', '../x', 'delta.x', '%', '__proto__', '{"numRecords":1}', '[]'),
)
const long = fc.oneof(
  fc.integer({ min: -2, max: 5 }),
  fc.maxSafeInteger(),
  fc.constantFrom(2 ** 63, -(2 ** 63), 2 ** 70),
)
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const texts = fc.dictionary(text, text, { maxKeys: 3 })
const values = fc.dictionary(fc.constantFrom('id', 'date', 'x'), fc.option(text), { maxKeys: 3 })
const deletionVector = fc.record({
  storageType: fc.constantFrom('u', 'i', 'p'),
  pathOrInlineDv: text,
  offset: fc.option(long),
  sizeInBytes: long,
  cardinality: long,
})

const file = {
  path: text,
  dataChange: fc.boolean(),
  stats: fc.option(text),
  tags: maybe(texts),
  deletionVector: fc.option(deletionVector),
  baseRowId: maybe(long),
  future: maybe(fc.jsonValue()),
}

const bodies = {
  add: fc.record({ ...file, partitionValues: values, size: long, modificationTime: long }),
  remove: fc.record({
    ...file,
    partitionValues: fc.option(values),
    size: fc.option(long),
    extendedFileMetadata: maybe(fc.boolean()),
  }),
  cdc: fc.record({ path: text, partitionValues: values, size: long, dataChange: fc.boolean() }),
  metaData: fc.record({
    id: text,
    format: fc.record({ provider: fc.constantFrom('parquet', 'orc') }),
    schemaString: fc.oneof(text, fc.json(), fc.constant(table().metadata.schemaString)),
    partitionColumns: fc.array(fc.constantFrom('id', 'date', 'x'), { maxLength: 2 }),
    configuration: maybe(
      fc.dictionary(
        fc.constantFrom('delta.appendOnly', 'delta.columnMapping.mode', 'delta.feature.x', 'x'),
        fc.constantFrom('true', 'name', 'none', ''),
      ),
    ),
  }),
  protocol: fc.record({
    minReaderVersion: fc.integer({ min: -1, max: 8 }),
    minWriterVersion: fc.integer({ min: -1, max: 8 }),
    readerFeatures: fc.option(fc.array(fc.constantFrom('deletionVectors', 'appendOnly', 'x'))),
    writerFeatures: fc.option(fc.array(fc.constantFrom('deletionVectors', 'clustering', 'x'))),
  }),
  txn: fc.record({ appId: text, version: long, lastUpdated: maybe(long) }),
  domainMetadata: fc.record({ domain: text, configuration: text, removed: fc.boolean() }),
  commitInfo: fc.dictionary(text, fc.jsonValue()),
}

const anyAction: fc.Arbitrary<Action> = fc.oneof(
  ...Object.entries(bodies).map(([kind, body]) =>
    (body as fc.Arbitrary<object>).map((given) => {
      const json = JSON.stringify({ [kind]: given })
      return { kind, body: JSON.parse(json)[kind], json } as Action
    }),
  ),
  fc.tuple(text, fc.jsonValue()).map(([name, body]) => other(name, body)),
)

const states: fc.Arbitrary<TableState | undefined> = fc.constantFrom(
  undefined,
  table(),
  table({ files: { a: null, 'a/b': 'ux' }, features: ['deletionVectors'] }),
  table({ fields: [column('id'), column('date', 'date')], partitionColumns: ['date'] }),
)

t.test('any commit of well-shaped actions gets an answer, and the same one again', async (t) => {
  fc.assert(
    fc.property(fc.array(anyAction, { maxLength: 6 }), states, (actions, state) => {
      const violations = validateCommit(actions, state)
      t.same(validateCommit(structuredClone(actions), state), violations)
      let last = 0
      for (const { code, index, message } of violations) {
        if (!Object.hasOwn(violationCodes, code) || message.length > 2000) return false
        if (index < last || index > actions.length) return false
        last = index
      }
      return true
    }),
    { numRuns: 500 },
  )
})

type Mention = { kind: 'add' | 'remove'; path: string; seed: string | null }

const mentions = fc.array(
  fc.record<Mention>({
    kind: fc.constantFrom('add', 'remove'),
    path: fc.constantFrom('a', '%61', 'b'),
    seed: fc.constantFrom(null, 'v', 'w'),
  }),
  { maxLength: 6 },
)
const liveFiles = fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom(null, 'v', 'w'))

function fileAction({ kind, path, seed }: Mention): Action {
  const deletionVector: AddFile['deletionVector'] = seed === null ? null : vector(seed)
  if (kind === 'remove') return remove(path, { deletionVector })
  return add(path, { deletionVector, stats: stats(9) })
}

/** The rules on one file in one commit, said as plainly as can be and judged pair by pair. */
function slowIdentity(commit: Mention[], live: Record<string, string | null>): string[] {
  const found: string[] = []
  const name = ({ path }: Mention) => decodeURIComponent(path)
  for (const [index, mention] of commit.entries()) {
    const before = commit.slice(0, index).filter((other) => name(other) === name(mention))
    const report = (code: ViolationCode) => found.push(`${index} ${code}`)
    if (before.some((other) => other.kind === mention.kind)) report(`duplicate-${mention.kind}`)
    const opposite = before.find((other) => other.kind !== mention.kind)
    if (opposite && opposite.seed === mention.seed) report('add-and-remove')
    const liveSeed = live[name(mention)]
    if (mention.kind === 'remove' || liveSeed === undefined || liveSeed === mention.seed) continue
    const removal = commit.find((other) => other.kind === 'remove' && name(other) === name(mention))
    if (removal?.seed !== liveSeed) report('file-already-live')
  }
  return found
}

t.test('the rules on one file in one commit agree with a slow model', async () => {
  const codes = ['duplicate-add', 'duplicate-remove', 'add-and-remove', 'file-already-live']
  fc.assert(
    fc.property(mentions, liveFiles, (commit, live) => {
      const files = Object.entries(live).map(([path, seed]) => [
        path,
        deletionVectorId(seed === null ? null : vector(seed)),
      ])
      const state = table({
        files: Object.fromEntries(files),
        features: ['deletionVectors'],
        configuration: { 'delta.enableDeletionVectors': 'true' },
      })
      const violations = validateCommit(commit.map(fileAction), state)
      const told = violations.map(({ code, index }) => `${index} ${code}`)
      const identity = told.filter((line) => codes.includes(line.slice(line.indexOf(' ') + 1)))
      return told.length === identity.length && told.join() === slowIdentity(commit, live).join()
    }),
    { numRuns: 1000 },
  )
})

t.test('whole numbers are judged by their text, whatever the double', async (t) => {
  const size = fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n })
  fc.assert(
    fc.property(size, (size) => {
      const json = JSON.stringify({ add: add('a').body }).replace('"size":10', `"size":${size}`)
      const judged = action('add', add('a', { size: Number(size) }).body, json)
      const [violation] = validateCommit([judged], table())
      const fits = size >= -(2n ** 63n) && size < 2n ** 63n
      t.equal(violation?.code, fits ? (size < 0n ? 'size-negative' : undefined) : 'long-invalid')
    }),
  )
})
