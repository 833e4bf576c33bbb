import { action, add, column, metadata, protocol, remove, table, txn } from '../../support.ts'
import { type ConflictCase, suite, where } from './case.ts'

const check = suite('OptimisticTransactionSuite', { level: 'Serializable', operation: 'TRUNCATE' })

const byX = table({ fields: [column('x', 'integer')], partitionColumns: ['x'] })
const inX = (path: string, x: string) => add(path, { partitionValues: { x } })
const isX = (x: string) => where('x', (value) => value === x)

/** The remove of a file, completed from its add. */
const gone = (path: string, x: string) => remove(path, { partitionValues: { x } })

const allowed: ConflictCase[] = [
  check('append / append', { winners: [[add('a')]], actions: [add('b')] }),
  check('disjoint txns', {
    reads: { appIds: new Set(['t1']) },
    winners: [[txn('t2', 0)]],
  }),
  check('disjoint delete / read', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [[gone('a', '2')]],
  }),
  check('disjoint add / read', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [[inX('a', '2')]],
  }),
  check('add / read + no write', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [[inX('a', '1')]],
  }),
]

const refused: ConflictCase[] = [
  check('delete / delete', {
    winners: [[remove('a')]],
    actions: [remove('a')],
    conflict: ['concurrent-delete-delete', { path: 'a' }],
  }),
  check('add / read + write', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [[inX('a', '1')]],
    actions: [inX('b', '1')],
    conflict: ['concurrent-append', { path: 'a', partitionValues: { x: '1' }, predicate: 0 }],
  }),
  check('add in part=2 / read from part=1,2 and write to part=1', {
    table: byX,
    reads: { predicates: [isX('1'), isX('2')] },
    winners: [[inX('a', '1')]],
    actions: [inX('b', '2')],
    conflict: ['concurrent-append', { path: 'a', predicate: 0 }],
  }),
  check('delete / read', {
    table: byX,
    reads: { predicates: [isX('1')], files: new Set(['a']) },
    winners: [[], [remove('a')]],
    conflict: ['concurrent-delete-read', { path: 'a' }, 1],
  }),
  check('schema change', {
    winners: [[action('metaData', metadata({ id: 'b4c1' }))]],
    conflict: ['metadata-changed', { fields: ['id'] }],
  }),
  check('conflicting txns', {
    reads: { appIds: new Set(['t1']) },
    winners: [[txn('t1', 0)]],
    conflict: ['concurrent-transaction', { appId: 't1' }],
  }),
  check('upgrade / upgrade', {
    winners: [[action('protocol', protocol('deletionVectors'))]],
    actions: [action('protocol', protocol('deletionVectors'))],
    conflict: ['protocol-changed'],
  }),
  check('taint whole table', {
    table: byX,
    reads: { predicates: [isX('1')], wholeTable: true },
    winners: [[inX('b', '3')]],
    actions: [inX('c', '4')],
    conflict: ['concurrent-append', { path: 'b' }],
  }),
  check('taint whole table + concurrent remove', {
    reads: { wholeTable: true },
    winners: [[remove('a')]],
    actions: [add('b')],
    conflict: ['concurrent-delete-read', { path: 'a' }],
  }),
  check('concurrent feature enablement with failConcurrentTransactionsAtUpgrade should conflict', {
    table: byX,
    winners: [[action('protocol', protocol('materializePartitionColumns'))]],
    actions: [inX('test', '1')],
    conflict: ['protocol-changed', { features: ['materializePartitionColumns'] }],
  }),
  check('conflict event logs winningTxnOperation for observability', {
    table: byX,
    reads: { predicates: [isX('1')] },
    winners: [{ actions: [inX('a', '1')], operation: 'TRUNCATE' }],
    actions: [inX('b', '1')],
    conflict: ['concurrent-append', { path: 'a' }],
  }),
]

const overwrite = (caseName: string) =>
  `filterFiles(partitions) correctly updates readPredicates for ${caseName}`

/** Partition 0 is overwritten: its files a are removed, and x is added. */
const dynamicOverwrite = {
  table: table({
    fields: [column('part', 'integer'), column('value', 'integer')],
    partitionColumns: ['part'],
  }),
  operation: 'Manual Update',
  reads: { predicates: [where('part', (value) => value === '0')] },
  actions: [remove('a'), add('x', { partitionValues: { part: '0' } })],
}

const dynamicOverwrites: ConflictCase[] = [
  check(overwrite('concurrent append in same partition'), {
    ...dynamicOverwrite,
    winners: [[add('y', { partitionValues: { part: '0' } })]],
    conflict: ['concurrent-append', { path: 'y', partitionValues: { part: '0' } }],
  }),
  check(overwrite('concurrent append in different partition'), {
    ...dynamicOverwrite,
    winners: [[add('y', { partitionValues: { part: '1' } })]],
  }),
  check(overwrite('concurrent delete in same partition'), {
    ...dynamicOverwrite,
    winners: [[remove('a', { partitionValues: { part: '0' } })]],
    conflict: ['concurrent-delete-read', { path: 'a', predicate: 0 }],
    differs: 'delete-delete: there a predicate on partitions alone does not stand for the files',
  }),
  check(overwrite('concurrent delete in different partition'), {
    ...dynamicOverwrite,
    winners: [[remove('b', { partitionValues: { part: '1' } })]],
  }),
]

export const optimisticTransactionCases = [...allowed, ...refused, ...dynamicOverwrites]
