import {
  action,
  add,
  column,
  domain,
  metadata,
  protocol,
  remove,
  table,
  txn,
} from '../../support.ts'
import { type ConflictCase, everything, suite, where } from './case.ts'

const check = suite('Deltaworks', { level: 'Serializable' })

const byX = table({ fields: [column('x', 'integer')], partitionColumns: ['x'] })
const inX = (path: string, x: string) => add(path, { partitionValues: { x } })
const isX = (x: string) => where('x', (value) => value === x)

/** What no source has a case for. */
export const ownCases: readonly ConflictCase[] = [
  check('a remove that does not tell its partition may be of any', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [[remove('a')]],
    actions: [inX('b', '1')],
    conflict: ['concurrent-delete-read', { path: 'a', predicate: 0 }],
  }),
  check('files that are read one by one do not stand for files that come', {
    reads: { files: new Set(['a']) },
    winners: [[add('b')]],
    actions: [remove('a'), add('c')],
  }),
  check('a file is the same however its path is encoded', {
    reads: { files: new Set(['day=1/a b']) },
    winners: [[remove('day=1/a%20b')]],
    actions: [add('c')],
    conflict: ['concurrent-delete-read', { path: 'day=1/a%20b' }],
  }),
  check('a path that this service would not take still names a file', {
    winners: [[remove('s3://bucket/100%')]],
    actions: [remove('s3://bucket/100%')],
    conflict: ['concurrent-delete-delete', { path: 's3://bucket/100%' }],
  }),
  check('paths that this service would not take are not all one', {
    winners: [[remove('s3://bucket/100%')]],
    actions: [remove('s3://bucket/200%')],
  }),
  check('a file is not brought back after its removal', {
    winners: [[remove('a')]],
    actions: [add('a')],
    conflict: ['concurrent-delete-read', { path: 'a' }],
  }),
  check('a file may be added by two', { winners: [[add('a')]], actions: [add('a')] }),
  check('a domain that is read may not change', {
    reads: { domains: new Set(['d', 'e']) },
    winners: [[domain('x')], [domain('d')]],
    actions: [add('a')],
    conflict: ['domain-metadata-conflict', { domain: 'd' }, 1],
  }),
  check('the domain of row tracking is assigned anew, also under a read', {
    reads: { domains: new Set(['delta.rowTracking']) },
    winners: [[domain('delta.rowTracking')]],
    actions: [domain('delta.rowTracking', '{"rowIdHighWaterMark":1}')],
  }),
  check('a winner may bring a feature that leaves the actions as legal as they were', {
    winners: [[action('protocol', protocol('deletionVectors', 'checkConstraints'))]],
    actions: [add('a')],
  }),
  check('a winner may list the features that older versions implied', {
    table: { protocol: { minReaderVersion: 2, minWriterVersion: 5 }, metadata: metadata() },
    winners: [
      [
        action('protocol', {
          ...protocol('columnMapping', 'appendOnly', 'invariants', 'checkConstraints'),
          writerFeatures: [
            'appendOnly',
            'changeDataFeed',
            'checkConstraints',
            'columnMapping',
            'generatedColumns',
            'invariants',
          ],
        }),
      ],
    ],
    actions: [add('a')],
  }),
  check('a winner may not drop a feature', {
    table: table({ features: ['appendOnly', 'deletionVectors'] }),
    winners: [[add('b')], [action('protocol', protocol('appendOnly'))]],
    actions: [add('a')],
    conflict: ['protocol-changed', { features: ['deletionVectors'] }, 1],
  }),
  check('a winner is compared with the winner before it', {
    table: table({ features: ['deletionVectors', 'v2Checkpoint'] }),
    winners: [
      [action('metaData', metadata({ configuration: { 'delta.checkpointPolicy': 'v2' } }))],
      [action('metaData', metadata())],
    ],
    actions: [add('a')],
    conflict: ['metadata-changed', { properties: ['delta.checkpointPolicy'] }, 1],
  }),
  check('the first winner that conflicts is named, by the first check that fails', {
    reads: { predicates: [everything] },
    winners: [[txn('t', 1)], [add('b'), remove('a'), domain('d')], [add('c')]],
    actions: [remove('a'), domain('d')],
    conflict: ['domain-metadata-conflict', { domain: 'd' }, 1],
  }),
  check('deletes are looked for after appends', {
    reads: { predicates: [everything] },
    winners: [[remove('a'), add('b')]],
    actions: [remove('a')],
    conflict: ['concurrent-append', { path: 'b' }],
  }),
  check('no winners, no conflict', {
    reads: { wholeTable: true },
    winners: [],
    actions: [add('a')],
  }),
]
