import type { Action } from '../../../../src/delta/actions.ts'
import type { FileTest, Reads } from '../../../../src/delta/conflicts/reads.ts'
import { action, add, column, metadata, remove, table, txn } from '../../support.ts'
import { type ConflictCase, everything, type GivenWinner, suite, where } from './case.ts'

const check = suite('OptimisticTransactionLegacyTests', {
  level: 'Serializable',
  operation: 'Manual Update',
})

/** What a filtered read leaves: its predicates, and the files that it found. */
function read(predicates: readonly FileTest[], ...paths: string[]): Partial<Reads> {
  return { predicates, files: new Set(paths) }
}

/** A winner that has read the whole table, and so is no blind append. */
function reader(...actions: Action[]): GivenWinner {
  return { actions, reads: { predicates: [everything] } }
}

const plain: ConflictCase[] = [
  check('block append against metadata change', {
    winners: [[action('metaData', metadata({ id: 'b4c1' }))]],
    actions: [add('a')],
    conflict: ['metadata-changed', { fields: ['id'] }],
  }),
  check('block read+append against append', {
    reads: read([everything]),
    winners: [[add('a')]],
    actions: [add('b')],
    conflict: ['concurrent-append', { path: 'a' }],
  }),
  check('allow blind-append against any data change', {
    winners: [[remove('a'), add('b')]],
    actions: [add('c')],
  }),
  check('allow read+append+delete against no data change', {
    reads: read([everything], 'a'),
    winners: [[]],
    actions: [remove('a'), add('b')],
  }),
  check('allow concurrent set-txns with different app ids', {
    reads: { appIds: new Set(['t1']) },
    winners: [[txn('t2', 1)]],
  }),
  check('block concurrent set-txns with the same app id', {
    reads: { appIds: new Set(['t1']) },
    winners: [[txn('t1', 1)]],
    conflict: ['concurrent-transaction', { appId: 't1' }],
  }),
]

const byPart = {
  table: table({ fields: [column('value'), column('part')], partitionColumns: ['part'] }),
}

/** A file lies in the partition that its path names. */
const partOf = (path: string) => ({ partitionValues: { part: path.charAt(1) } })
const addIn = (path: string) => add(path, partOf(path))
const removeIn = (path: string) => remove(path, partOf(path))
const part = (selects: (value: number) => boolean) =>
  where('part', (value) => selects(Number(value)))

const partitioned: ConflictCase[] = [
  check('allow concurrent commit on disjoint partitions', {
    ...byPart,
    reads: read([part((p) => p === 3)], 'p3/e'),
    winners: [reader(addIn('p1/b'))],
    actions: [addIn('p2/c'), removeIn('p3/e')],
  }),
  check('allow concurrent commit on disjoint partitions reading all partitions', {
    ...byPart,
    reads: read([part((p) => p === 1)], 'p1/a'),
    winners: [reader(addIn('p2/c'), removeIn('p2/d'))],
    actions: [addIn('p3/e'), addIn('p3/f')],
  }),
  check('block concurrent commit when read partition was appended to by concurrent write', {
    ...byPart,
    reads: read([part((p) => p === 1)], 'p1/a'),
    winners: [reader(addIn('p1/b'))],
    actions: [addIn('p2/c'), addIn('p3/e')],
    conflict: ['concurrent-append', { path: 'p1/b' }],
  }),
  check('block concurrent commit on full table scan', {
    ...byPart,
    reads: read([everything, part((p) => p === 1)], 'p1/a', 'p2/d'),
    winners: [reader(addIn('p2/c'), removeIn('p2/d'))],
    actions: [addIn('p3/e'), addIn('p3/f')],
    conflict: ['concurrent-append', { path: 'p2/c' }],
  }),
  check('block commit when full table read conflicts with add in any partition', {
    ...byPart,
    reads: read([everything], 'p1/a', 'p2/c'),
    winners: [reader(removeIn('p2/c'), addIn('p1/b'))],
    actions: [addIn('p2/d')],
    conflict: ['concurrent-append', { path: 'p1/b' }],
  }),
  check('block commit when full table read conflicts with delete in any partition', {
    ...byPart,
    reads: read([everything], 'p1/a', 'p2/c'),
    winners: [reader(removeIn('p1/a'))],
    actions: [removeIn('p1/b')],
    conflict: ['concurrent-delete-read', { path: 'p1/a' }],
  }),
  check('block concurrent commit on read & add conflicting partitions', {
    ...byPart,
    reads: read([part((p) => p === 1)], 'p1/a'),
    winners: [reader(addIn('p1/b'))],
    actions: [addIn('p3/e')],
    conflict: ['concurrent-append', { path: 'p1/b' }],
  }),
  check('block concurrent commit on read & delete conflicting partitions', {
    ...byPart,
    reads: read([part((p) => p === 1)], 'p1/a', 'p1/b'),
    winners: [reader(removeIn('p1/a'))],
    actions: [addIn('p3/e')],
    conflict: ['concurrent-delete-read', { path: 'p1/a' }],
  }),
  check('block concurrent full table scan after concurrent write completes', {
    ...byPart,
    reads: read([part((p) => p === 1), everything], 'p1/a', 'p3/e'),
    winners: [reader(addIn('p2/c'))],
    actions: [removeIn('p1/a')],
    conflict: ['concurrent-append', { path: 'p2/c', predicate: 1 }],
  }),
  check('block concurrent commit mixed metadata and data predicate', {
    ...byPart,
    // part = 1 or year > 2019: nothing in a file of another part excludes the second half.
    reads: read([everything], 'p1/a', 'p3/e'),
    winners: [reader(addIn('p2/c'))],
    actions: [removeIn('p1/a')],
    conflict: ['concurrent-append', { path: 'p2/c' }],
  }),
  check('block concurrent read (2 scans) and add when read partition was changed', {
    ...byPart,
    reads: read([part((p) => p === 1), part((p) => p > 1 && p < 3)], 'p1/a'),
    winners: [reader(addIn('p2/c'))],
    actions: [removeIn('p1/a')],
    conflict: ['concurrent-append', { path: 'p2/c', predicate: 1 }],
  }),
  check('readWholeTable should block concurrent delete', {
    ...byPart,
    reads: { wholeTable: true },
    winners: [[removeIn('p1/a')]],
    actions: [addIn('p1/b')],
    conflict: ['concurrent-delete-read', { path: 'p1/a' }],
  }),
]

const replaceWhere: ConflictCase[] = [
  check('block concurrent replaceWhere initial empty', {
    ...byPart,
    reads: read([part((p) => p >= 2)]),
    winners: [{ actions: [addIn('p3/e')], reads: read([part((p) => p >= 2)]) }],
    actions: [addIn('p2/c')],
    conflict: ['concurrent-append', { path: 'p3/e' }],
  }),
  check('allow concurrent replaceWhere disjoint partitions initial empty', {
    ...byPart,
    reads: read([part((p) => p > 3)]),
    winners: [{ actions: [addIn('p2/c')], reads: read([part((p) => p > 1 && p <= 3)]) }],
    actions: [addIn('p4/g')],
  }),
  check('block concurrent replaceWhere NOT empty but conflicting predicate', {
    ...byPart,
    reads: read([part((p) => p >= 2)], 'p4/g'),
    winners: [[removeIn('p1/a'), addIn('p2/c')]],
    actions: [removeIn('p4/g'), addIn('p3/e')],
    conflict: ['concurrent-append', { path: 'p2/c' }],
  }),
  check('block 2 concurrent replaceWhere transactions', {
    ...byPart,
    reads: read([part((p) => p === 1)], 'p1/a'),
    winners: [[removeIn('p1/a'), addIn('p1/b')]],
    actions: [removeIn('p1/a'), addIn('p1/c')],
    conflict: ['concurrent-append', { path: 'p1/b' }],
  }),
  check('block 2 concurrent replaceWhere transactions changing partitions', {
    ...byPart,
    reads: read([part((p) => p === 3 || p === 2)], 'p2/c', 'p3/e'),
    winners: [[removeIn('p1/a'), removeIn('p3/e'), addIn('p1/b')]],
    actions: [removeIn('p2/c'), removeIn('p3/e'), addIn('p2/d')],
    conflict: ['concurrent-delete-read', { path: 'p3/e' }],
  }),
]

const unchanged = { dataChange: false }
const rearrange = [
  remove('p1/a', { ...partOf('p1/a'), ...unchanged }),
  remove('p1/b', { ...partOf('p1/b'), ...unchanged }),
  add('p1/c', { ...partOf('p1/c'), ...unchanged }),
]

const noDataChange: ConflictCase[] = [
  check('no data change: allow data rearrange when new files concurrently added', {
    ...byPart,
    reads: read([everything], 'p1/a', 'p1/b'),
    winners: [reader(addIn('p3/e'))],
    actions: rearrange,
  }),
  check('no data change: block data rearrange when concurrently delete removes same file', {
    ...byPart,
    reads: read([everything], 'p1/a', 'p1/b'),
    winners: [reader(removeIn('p1/a'))],
    actions: rearrange,
    conflict: ['concurrent-delete-read', { path: 'p1/a' }],
  }),
]

const byAB = {
  table: table({
    fields: [column('value'), column('a'), column('b')],
    partitionColumns: ['a', 'b'],
  }),
}

/** `1/2/x` lies in a=1, b=2. */
const nested = (path: string) => ({
  partitionValues: { a: path.charAt(0), b: path.charAt(2) },
})
const addAt = (path: string) => add(path, nested(path))
const removeAt = (path: string) => remove(path, nested(path))
const a = (selects: (value: number) => boolean) => where('a', (value) => selects(Number(value)))
const isA1: FileTest = a((value) => value === 1)
const isA1B1: FileTest = ({ partitionValues }) =>
  partitionValues['a'] === '1' && partitionValues['b'] === '1'

const nestedPartitions: ConflictCase[] = [
  check('allow concurrent adds to disjoint nested partitions when read is disjoint from write', {
    ...byAB,
    reads: read([isA1B1], '1/1/a'),
    winners: [reader(addAt('1/2/b'))],
    actions: [addAt('2/1/c')],
  }),
  check('allow concurrent adds to same nested partitions when read is disjoint from write', {
    ...byAB,
    reads: read([isA1B1], '1/1/a'),
    winners: [reader(addAt('1/2/b'))],
    actions: [addAt('1/2/x')],
  }),
  check('allow concurrent add when read at lvl1 partition is disjoint from write at lvl2', {
    ...byAB,
    reads: read([isA1], '1/1/a', '1/2/b'),
    winners: [reader(addAt('2/1/c'))],
    actions: [addAt('3/1/d')],
  }),
  check('block commit when read at lvl1 partition reads lvl2 file concur. deleted', {
    ...byAB,
    reads: read([isA1], '1/1/a', '1/2/b'),
    winners: [reader(removeAt('1/1/a'))],
    actions: [addAt('3/1/d')],
    conflict: ['concurrent-delete-read', { path: '1/1/a', partitionValues: { a: '1', b: '1' } }],
  }),
  check('block commit when full table read conflicts with write in lvl2 nested partition', {
    ...byAB,
    reads: read([everything], '1/1/a'),
    winners: [reader(addAt('1/2/b'))],
    actions: [addAt('2/1/c')],
    conflict: ['concurrent-append', { path: '1/2/b' }],
  }),
  check('block commit when part. range read conflicts with write in lvl2 nested partition', {
    ...byAB,
    reads: read([({ partitionValues: { a, b } }) => Number(a) >= 1 || Number(b) > 1], '1/1/a'),
    winners: [reader(addAt('1/2/b'))],
    actions: [addAt('3/1/d')],
    conflict: ['concurrent-append', { path: '1/2/b' }],
  }),
  check('block commit with concurrent removes on same file', {
    ...byAB,
    reads: read([a((value) => value === 2)]),
    winners: [reader(removeAt('1/2/b'))],
    actions: [removeAt('1/2/b')],
    conflict: ['concurrent-delete-delete', { path: '1/2/b' }],
  }),
  check('block delete-delete conflict when winning RemoveFile has empty partitionValues', {
    ...byAB,
    winners: [reader(remove('1/2/b', { extendedFileMetadata: true, partitionValues: {} }))],
    actions: [removeAt('1/2/b')],
    conflict: ['concurrent-delete-delete', { path: '1/2/b', partitionValues: {} }],
  }),
  check('block delete-read conflict when winning RemoveFile has empty partitionValues', {
    ...byAB,
    reads: read([everything], '1/2/b'),
    winners: [reader(remove('1/2/b', { extendedFileMetadata: true, partitionValues: {} }))],
    actions: [addAt('1/1/a')],
    conflict: ['concurrent-delete-read', { path: '1/2/b', partitionValues: {} }],
  }),
]

export const optimisticTransactionLegacyCases = [
  ...plain,
  ...partitioned,
  ...replaceWhere,
  ...noDataChange,
  ...nestedPartitions,
]
