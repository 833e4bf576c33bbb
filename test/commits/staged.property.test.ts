import fc from 'fast-check'
import t from 'tap'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

// What is staged must be answered, kept and published like what is held in memory.
const held = await startTestServer(t, { heldActionsMax: 100_000 })
const staging = await startTestServer(t, { heldActionsMax: 2 }, { beside: held })

const definition = {
  schema: {
    type: 'struct',
    fields: ['id', 'day'].map((name) => ({ name, type: 'string', nullable: true, metadata: {} })),
  },
  configuration: { 'delta.enableDeletionVectors': 'true', 'delta.enableChangeDataFeed': 'true' },
}

const tracking = {
  ...definition,
  configuration: {
    ...definition.configuration,
    'delta.enableRowTracking': 'true',
    'delta.rowTracking.materializedRowIdColumnName': '_r',
    'delta.rowTracking.materializedRowCommitVersionColumnName': '_v',
  },
}

const paths = ['a', 'b', 'c', 'd%20e', 'f', 'g\u00e9']
const vector = {
  deletionVector: {
    storageType: 'u',
    pathOrInlineDv: 'v'.repeat(20),
    offset: 1,
    sizeInBytes: 9,
    cardinality: 2,
  },
}
const path = fc.constantFrom(...paths, 'd e')

/** What may be done to one file; whether it is legal depends on the table. */
const change = path.chain((name) =>
  fc.constantFrom<object[]>(
    [add(name)],
    [add(name)],
    [add(name, { dataChange: false, stats: null })],
    [remove(name)],
    [remove(name), add(name, vector)],
    [remove(name, vector)],
  ),
)
/** What a writer says of row ids; the first files of a table have those from 0 and from 10. */
const noIds = fc.constantFrom(
  {},
  { tags: { a: '\u{1d7d9}é' }, baseRowId: null, defaultRowCommitVersion: null },
  { defaultRowCommitVersion: null, tags: { a: '\0' }, baseRowId: null },
  { baseRowId: null },
)
const ids = fc.oneof(
  { weight: 12, arbitrary: noIds },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0, 10, 20).map((baseRowId) => ({
      baseRowId,
      defaultRowCommitVersion: 1,
    })),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { baseRowId: fc.constantFrom(0, 5, 10), defaultRowCommitVersion: fc.constantFrom(1, 2) },
      { requiredKeys: [] },
    ),
  },
)
const changeWithIds = fc
  .tuple(path, ids, ids)
  .chain(([name, one, other]) =>
    fc.constantFrom<object[]>(
      [add(name, one)],
      [add(name, other)],
      [add(name, { ...one, stats: '{"numRecords":9007199254740993}' })],
      [add(name, { ...one, stats: '{"numRecords":0}' })],
      [add(name, { ...one, dataChange: false })],
      [remove(name, one)],
      [remove(name, other)],
      [remove(name, one), add(name, { ...vector, ...other })],
      [add(name, one), remove(name, { ...vector, ...other })],
    ),
  )
const changes = (one: fc.Arbitrary<object[]>) =>
  fc.uniqueArray(one, {
    minLength: 3,
    maxLength: paths.length,
    selector: ([first]) =>
      JSON.stringify(first)
        .replace(/.*"path":"([^"]*)".*/, '$1')
        .slice(0, 1),
  })
const oddFile = fc.oneof(
  change.map(([first]) => first as object),
  path.map((name) => add(name, vector)),
  fc.constantFrom(
    add('', { size: -1 }),
    add('h', { partitionValues: { day: '1' } }),
    add('i', { size: 2 ** 53 - 1, stats: '{"numRecords":"x"}' }),
  ),
)
const otherAction = fc.constantFrom(
  { txn: { appId: 'app', version: 3 } },
  { cdc: { path: '_change_data/x', partitionValues: {}, size: 1, dataChange: false } },
  { commitInfo: { operation: 'MERGE', more: 1.5 } },
  { unknown: { kept: true } },
  { domainMetadata: { domain: 'mine', configuration: '{}', removed: false } },
)
const actions = (one: fc.Arbitrary<object[]>) =>
  fc
    .tuple(
      changes(one),
      fc.array(otherAction, { maxLength: 2 }),
      fc.option(oddFile, { freq: 1 }),
      fc.nat(8),
    )
    .map(([files, others, odd, at]) => {
      const all: object[] = [...files.flat(), ...(odd === null ? [] : [odd])]
      return all.toSpliced(at, 0, ...others)
    })
const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, { weight: 1, arbitrary })
const proposal = (one: fc.Arbitrary<object[]>) =>
  fc
    .tuple(
      actions(one).map((all) => ({ actions: all })),
      seldom(fc.record({ expectedVersion: fc.integer({ min: 1, max: 4 }) })),
      seldom(
        fc.record({ idempotency: fc.record({ appId: fc.constant('app'), version: fc.nat(4) }) }),
      ),
      seldom(
        fc.record({
          readVersion: fc.nat(4),
          reads: fc.constantFrom({ wholeTable: true }, { files: ['a', 'b'] }, {}),
        }),
      ),
    )
    .map((parts): object => Object.assign({}, ...parts))

/** What does not differ from table to table. */
function comparable(text: string, table: string): string {
  return text
    .replaceAll(table, 'TABLE')
    .replace(/"instance":"[^"]*"/, '')
    .replaceAll(/"(inCommitTimestamp|timestamp|createdTime|lastUpdated)":\d+/g, '')
    .replaceAll(/"committedAt":"[^"]*"/g, '')
    .replaceAll(/t_[0-9a-f]{32}/g, 'NAME')
}

async function history(table: string): Promise<string> {
  const ndjson = { accept: 'application/x-ndjson' }
  const { version } = (await held.get(`/tables/${table}`)).body
  const texts = [
    await held.get(`/tables/${table}/snapshot`),
    await held.get(`/tables/${table}/commits`),
  ]
  for (let one = 0; one <= version; one += 1) {
    texts.push(await held.get(`/tables/${table}/commits/${one}`, ndjson))
    texts.push(await held.get(`/tables/${table}/files?version=${one}`))
  }
  return comparable(texts.map(({ text }) => text).join('\n'), table)
}

const cases = {
  'a staged commit comes to the same as one held in memory': {
    table: definition,
    changes: fc.oneof({ weight: 4, arbitrary: change }, { weight: 1, arbitrary: changeWithIds }),
  },
  'so it does where rows are tracked': { table: tracking, changes: changeWithIds },
}

for (const [title, { table, changes }] of Object.entries(cases))
  t.test(title, async (t) => {
    const seen = { committed: 0, refused: 0 }
    const run = async (proposals: object[], asLines: boolean) => {
      const [one, other] = [await held.makeTable(table), await held.makeTable(table)]
      for (const each of proposals) {
        const expected = await held.commit(one, each)
        const { actions, ...fields } = each as { actions: object[] }
        const lines = [{ proposal: fields }, ...actions].map((line) => JSON.stringify(line))
        const found = asLines
          ? await staging.call('POST', `/tables/${other}/commits`, {
              raw: lines.join('\n'),
              headers: { 'content-type': 'application/x-ndjson' },
            })
          : await staging.commit(other, each)
        seen[expected.status < 300 ? 'committed' : 'refused'] += 1
        if (comparable(found.text, other) !== comparable(expected.text, one)) {
          throw new Error(`${found.text}\nwhere in memory it is\n${expected.text}`)
        }
      }
      const [expected, found] = [await history(one), await history(other)]
      if (expected !== found) throw new Error(`${found}\nwhere in memory it is\n${expected}`)
    }
    await fc.assert(
      fc.asyncProperty(
        fc.array(proposal(changes), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        run,
      ),
      { numRuns: 15 },
    )
    t.ok(seen.committed > 2 && seen.refused > 2, JSON.stringify(seen))
  })
