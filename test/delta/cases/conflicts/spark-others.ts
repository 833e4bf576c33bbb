import {
  action,
  add,
  column,
  domain,
  metadata,
  protocol,
  remove,
  table,
  vector,
} from '../../support.ts'
import { type ConflictCase, everything, type GivenWinner, suite, where } from './case.ts'

const inOptimize = suite('OptimizeConflictSuite', { level: 'Serializable' })

const optimize: ConflictCase[] = [
  inOptimize('conflict handling between Optimize and Business Txn', {
    operation: 'OPTIMIZE',
    reads: { predicates: [everything], files: new Set(['a', 'b']) },
    winners: [
      {
        operation: 'DELETE',
        actions: [remove('a'), add('a', { deletionVector: vector('d') })],
        reads: { predicates: [everything] },
      },
    ],
    actions: [
      remove('a', { dataChange: false }),
      remove('b', { dataChange: false }),
      add('c', { dataChange: false }),
    ],
    conflict: ['concurrent-delete-read', { path: 'a' }],
  }),
]

const inRowTracking = suite('RowTrackingConflictResolutionSuite', {
  level: 'Serializable',
  operation: 'Manual Update',
  actions: [add('file_path')],
})

const untracked = { protocol: protocol(), metadata: metadata() }
const tracked = { protocol: protocol('rowTracking', 'domainMetadata'), metadata: metadata() }
const activate = action('protocol', tracked.protocol)
const highWaterMark = domain('delta.rowTracking', '{"rowIdHighWaterMark":10}')
const enabled = metadata({ configuration: { 'delta.enableRowTracking': 'true' } })

const rowTracking: ConflictCase[] = [
  inRowTracking('Set baseRowId if table feature was committed concurrently', {
    table: untracked,
    winners: [[activate]],
  }),
  inRowTracking('Set valid baseRowId if feature and high water mark are committed concurrently', {
    table: untracked,
    winners: [[activate], [add('b'), highWaterMark]],
  }),
  inRowTracking('Conflict resolution if feature and initial AddFiles are in the same commit', {
    table: untracked,
    winners: [[activate, add('other_path')]],
  }),
  inRowTracking('Conflict resolution with concurrent INSERT', {
    table: tracked,
    winners: [[add('b'), highWaterMark]],
    actions: [add('file_path'), highWaterMark],
  }),
  inRowTracking('Handle commits that do not bump the high water mark', {
    table: tracked,
    winners: [[activate]],
  }),
  inRowTracking('RowTrackingEnablementOnly does not fail txns that do not update metadata', {
    table: untracked,
    winners: [[activate], [action('metaData', enabled)]],
  }),
  inRowTracking('RowTrackingEnablementOnly fails transactions that perform a metadata update', {
    table: tracked,
    winners: [[action('metaData', enabled)]],
    actions: [action('metaData', metadata({ configuration: { key: 'value' } }))],
    conflict: ['metadata-changed'],
  }),
  inRowTracking('RowTrackingEnablementOnly fails another RowTrackingEnablementOnly', {
    table: tracked,
    winners: [[action('metaData', enabled)]],
    actions: [action('metaData', enabled)],
    conflict: ['metadata-changed'],
  }),
]

const byX = {
  table: {
    ...tracked,
    metadata: table({ fields: [column('id'), column('x')], partitionColumns: ['x'] }).metadata,
  },
}
const first = { partitionValues: { x: '1' } }
const deletion = {
  reads: { predicates: [where('x', (x) => x === '1')], files: new Set(['a', 'b']) },
  actions: [remove('a', first), remove('b', first)],
}
const vectorDeletion = {
  ...deletion,
  actions: ['a', 'b'].flatMap((path) => [
    remove(path, first),
    add(path, { ...first, deletionVector: vector('d') }),
  ]),
}

const backfilled = ['a', 'b', 'c', 'd']
const backfill = {
  operation: 'ROW TRACKING BACKFILL',
  reads: { predicates: [everything], files: new Set(backfilled) },
  actions: [
    ...backfilled.map((path, at) =>
      add(path, { partitionValues: { x: at < 2 ? '1' : '2' }, dataChange: false }),
    ),
    highWaterMark,
  ],
} satisfies GivenWinner

const differs = 'none: there a backfill and its losers are known by name and pass each other'

const backfills: ConflictCase[] = [
  inRowTracking('Backfill conflict with a delete, Delete wins', {
    ...byX,
    ...backfill,
    winners: [deletion],
    conflict: ['concurrent-delete-read', { path: 'a' }],
    differs,
  }),
  inRowTracking('Backfill conflicts with a delete, Backfill wins', {
    ...byX,
    ...deletion,
    winners: [backfill],
    conflict: ['concurrent-append', { path: 'a' }],
    differs,
  }),
  inRowTracking('Backfill conflicts with a DV delete, Delete wins', {
    ...byX,
    ...backfill,
    winners: [vectorDeletion],
    conflict: ['concurrent-delete-read', { path: 'a' }],
    differs,
  }),
  inRowTracking('Backfill conflicts with a DV delete, Backfill wins', {
    ...byX,
    ...vectorDeletion,
    winners: [backfill],
    conflict: ['concurrent-append', { path: 'a' }],
    differs,
  }),
]

const inRowIds = suite('ConflictCheckerRowIdSuite', { level: 'Serializable', table: tracked })

const rowIds: ConflictCase[] = [
  inRowIds('concurrent transactions do not assign overlapping row IDs', {
    winners: [[add('a'), add('b'), highWaterMark]],
    actions: [add('c'), highWaterMark],
  }),
  inRowIds('re-added files keep their row ids', {
    winners: [[add('d'), highWaterMark]],
    actions: [add('a'), add('b'), add('c')],
  }),
  inRowIds('Re-added files keep their row IDs after a txn not updating high watermark', {
    winners: [[add('a')], [add('d'), highWaterMark]],
    actions: [add('b'), add('c'), highWaterMark],
  }),
]

export const otherSparkCases = [...optimize, ...rowTracking, ...backfills, ...rowIds]
