import t from 'tap'
import type { Action } from '../../src/delta/actions.ts'
import {
  type RelevantActions,
  relevantActions,
  toCandidate,
} from '../../src/delta/conflicts/candidate.ts'
import {
  effectiveLevel,
  type IsolationLevel,
  requestedLevel,
} from '../../src/delta/conflicts/isolation.ts'
import { isBlindAppend, noReads, type Reads } from '../../src/delta/conflicts/reads.ts'
import { everything } from './cases/conflicts/case.ts'
import { action, add, cdc, domain, metadata, other, remove, txn } from './support.ts'

t.test('the level is that of the writer, else that of the table', async (t) => {
  const strict = { 'delta.isolationLevel': 'Serializable' }
  t.equal(requestedLevel(undefined, undefined), 'WriteSerializable')
  t.equal(requestedLevel(undefined, {}), 'WriteSerializable')
  t.equal(requestedLevel(undefined, { 'delta.isolationLevel': 'nonsense' }), 'WriteSerializable')
  t.equal(requestedLevel(undefined, strict), 'Serializable')
  t.equal(requestedLevel('WriteSerializable', strict), 'WriteSerializable')
  t.equal(requestedLevel('SnapshotIsolation', strict), 'SnapshotIsolation')
})

const unchanged = { dataChange: false }
const rearranged = [remove('a', unchanged), remove('b', unchanged), add('c', unchanged)]

/** A commit and the levels that it is judged at when Serializable, and when WriteSerializable, is asked for. */
type Effect = [
  name: string,
  operation: string,
  actions: readonly Action[],
  serializable: IsolationLevel,
  writeSerializable: IsolationLevel,
]

const effects: Effect[] = [
  ['nothing', 'OPTIMIZE', [], 'SnapshotIsolation', 'SnapshotIsolation'],
  ['nothing, by a DELETE', 'DELETE', [], 'SnapshotIsolation', 'WriteSerializable'],
  ['rearranged files', 'OPTIMIZE', rearranged, 'SnapshotIsolation', 'SnapshotIsolation'],
  ['rearranged files, by a WRITE', 'WRITE', rearranged, 'SnapshotIsolation', 'WriteSerializable'],
  [
    'rearranged files and what the service keeps',
    'OPTIMIZE',
    [...rearranged, domain('delta.rowTracking'), action('commitInfo', {})],
    'SnapshotIsolation',
    'SnapshotIsolation',
  ],
  ['new data', 'OPTIMIZE', [add('a')], 'Serializable', 'WriteSerializable'],
  ['data removed', 'OPTIMIZE', [remove('a')], 'Serializable', 'WriteSerializable'],
  ['change data alone', 'OPTIMIZE', [cdc('a')], 'SnapshotIsolation', 'SnapshotIsolation'],
  ...[action('metaData', metadata()), txn('a', 1), domain('d'), other('future')].map(
    (one): Effect => [
      `rearranged files and ${one.kind}`,
      'OPTIMIZE',
      [...rearranged, one],
      'Serializable',
      'WriteSerializable',
    ],
  ),
]

for (const [name, operation, actions, serializable, writeSerializable] of effects) {
  t.test(`${name} is judged at the level that it needs`, async (t) => {
    const commit = { actions, operation }
    t.equal(effectiveLevel('Serializable', commit), serializable)
    t.equal(effectiveLevel('WriteSerializable', commit), writeSerializable)
    t.equal(effectiveLevel('SnapshotIsolation', commit), 'SnapshotIsolation')
  })
}

t.test('a blind append adds at most, and read no files', async (t) => {
  const blind = (actions: readonly Action[], reads: Partial<Reads> = {}) =>
    isBlindAppend(actions, { ...noReads, ...reads })
  t.equal(blind([add('a'), txn('x', 1)]), true)
  t.equal(blind([]), true)
  t.equal(blind([add('a')], { appIds: new Set(['x']), domains: new Set(['d']) }), true)
  t.equal(blind([add('a'), remove('b')]), false)
  t.equal(blind([add('a'), cdc('b')]), false)
  t.equal(blind([add('a')], { wholeTable: true }), false)
  t.equal(blind([add('a')], { predicates: [everything] }), false)
  t.equal(blind([add('a')], { files: new Set(['b']) }), false)
})

t.test('only what can matter is named as relevant', async (t) => {
  const relevant = (
    isolationLevel: IsolationLevel,
    actions: readonly Action[],
    reads: Partial<Reads> = {},
  ): RelevantActions =>
    relevantActions(toCandidate({ actions, isolationLevel, reads: { ...noReads, ...reads } }))
  const none = new Set<string>()
  const appending = relevant('Serializable', [add('a%20b'), txn('x', 1)])
  t.strictSame(appending, {
    adds: 'none',
    removes: new Set(['a b']),
    appIds: new Set(['x']),
    domains: none,
  })
  const updating = relevant('WriteSerializable', [remove('a'), add('b'), domain('d')], {
    files: new Set(['a', 'c']),
    domains: new Set(['e', 'delta.rowTracking']),
  })
  t.strictSame(updating, {
    adds: 'none',
    removes: new Set(['a', 'b', 'c']),
    appIds: none,
    domains: new Set(['d', 'e']),
  })
  const selecting = { predicates: [everything] }
  t.equal(relevant('Serializable', [], selecting).adds, 'all')
  t.equal(relevant('WriteSerializable', [], selecting).adds, 'not-of-blind-appends')
  t.equal(relevant('SnapshotIsolation', [], selecting).adds, 'none')
  t.equal(relevant('SnapshotIsolation', [], selecting).removes, 'all')
  const redefining = [action('metaData', metadata())]
  t.equal(relevant('WriteSerializable', redefining, { wholeTable: true }).adds, 'all')
})
