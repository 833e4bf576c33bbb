import { action, add, column, metadata, protocol, remove, table, txn } from '../../support.ts'
import { between, type ConflictCase, suite } from './case.ts'

const check = suite('delta-rs conflict_checker', {
  level: 'Serializable',
  table: table({ fields: [column('id'), column('value', 'integer')] }),
})

/** The statistics of a file whose values lie between two. */
const statsOf = (min: number, max: number) => ({
  stats: JSON.stringify({ numRecords: 10, minValues: { value: min }, maxValues: { value: max } }),
})
const addOf = (min: number, max: number) => add(`${min}-${max}`, statsOf(min, max))
const removeOf = (min: number, max: number) => remove(`${min}-${max}`, statsOf(min, max))
const compacted = (min: number, max: number) =>
  remove(`${min}-${max}`, { ...statsOf(min, max), dataChange: false })

const least = Number.MIN_SAFE_INTEGER
const most = Number.MAX_SAFE_INTEGER
const readOf = (min: number, max: number) => ({ predicates: [between('value', min, max)] })

const plain: ConflictCase[] = [
  check('test_concurrent_append_append', { winners: [[addOf(1, 10)]], actions: [addOf(1, 10)] }),
  check('test_disjoint_delete_read', {
    reads: readOf(11, most),
    winners: [[removeOf(1, 10)]],
  }),
  check('test_disjoint_add_read', {
    reads: readOf(11, most),
    winners: [[addOf(1, 10)]],
    actions: [addOf(20, 30)],
  }),
  check('test_concurrent_delete_delete', {
    winners: [[removeOf(1, 10)]],
    actions: [removeOf(1, 10)],
    conflict: ['concurrent-delete-delete', { path: '1-10' }],
  }),
  check('test_concurrent_add_conflicts_with_read_and_write', {
    reads: readOf(least, 10),
    winners: [[addOf(1, 10)]],
    actions: [add('mine', statsOf(1, 10))],
    conflict: ['concurrent-append', { path: '1-10', predicate: 0 }],
  }),
  check('test_concurrent_delete_conflicts_with_read', {
    reads: readOf(least, 10),
    winners: [[removeOf(1, 10)]],
    conflict: ['concurrent-delete-read', { path: '1-10', predicate: 0 }],
  }),
  check('test_concurrent_metadata_change', {
    winners: [[action('metaData', metadata({ id: 'b4c1' }))]],
    conflict: ['metadata-changed'],
  }),
  check('test_concurrent_protocol_upgrade', {
    winners: [[action('protocol', protocol())]],
    actions: [action('protocol', protocol())],
    conflict: ['protocol-changed'],
  }),
  check('test_read_whole_table_disallows_concurrent_append', {
    reads: { ...readOf(least, -1), wholeTable: true },
    winners: [[addOf(11, 100)]],
    actions: [addOf(101, 1000)],
    conflict: ['concurrent-append', { path: '11-100' }],
  }),
  check('test_read_whole_table_disallows_concurrent_remove', {
    reads: { wholeTable: true },
    winners: [[removeOf(1, 10)]],
    actions: [addOf(11, 100)],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
  }),
]

const differs = 'none: there a winner that rearranges files takes nothing away from readers'

const compaction: ConflictCase[] = [
  check('test_compaction_remove_does_not_conflict_with_read', {
    reads: readOf(least, 10),
    winners: [[compacted(1, 10)]],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
    differs,
  }),
  check('test_data_delete_conflicts_with_read', {
    reads: readOf(least, 10),
    winners: [[removeOf(1, 10)]],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
  }),
  check('test_compaction_does_not_conflict_with_whole_table_read', {
    reads: { wholeTable: true },
    winners: [[compacted(1, 10)]],
    actions: [addOf(11, 100)],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
    differs,
  }),
  check('test_multiple_compaction_removes_do_not_conflict', {
    reads: readOf(least, 20),
    winners: [[compacted(1, 10), compacted(11, 20)]],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
    differs,
  }),
  check('test_mixed_removes_conflict_if_any_data_change', {
    reads: readOf(least, 20),
    winners: [[compacted(1, 10), removeOf(11, 20)]],
    conflict: ['concurrent-delete-read', { path: '1-10' }],
  }),
  check('test_concurrent_compaction_double_delete_still_conflicts', {
    winners: [[compacted(1, 10)]],
    actions: [compacted(1, 10)],
    conflict: ['concurrent-delete-delete', { path: '1-10' }],
  }),
]

const ranges: ConflictCase[] = [
  check('test_disjoint_partitions_add_and_write', {
    reads: readOf(least, 200),
    winners: [[addOf(100, 200)]],
    actions: [addOf(5, 15)],
    conflict: ['concurrent-append', { path: '100-200' }],
  }),
  check('test_disjoint_partitions_read_write_different_ranges', {
    reads: readOf(least, 50),
    winners: [[addOf(100, 200)]],
    actions: [addOf(5, 15)],
  }),
  check('test_conflicting_app_transactions', {
    winners: [[txn('streaming_query_1', 1), addOf(1, 10)]],
    actions: [txn('streaming_query_1', 1)],
    conflict: ['concurrent-transaction', { appId: 'streaming_query_1' }],
  }),
  check('test_non_conflicting_different_app_transactions', {
    winners: [[txn('streaming_query_2', 1), addOf(1, 10)]],
    actions: [txn('streaming_query_1', 1)],
  }),
  check('test_replace_where_initial_empty_conflicts_on_concurrent_add', {
    reads: readOf(2, most),
    winners: [[addOf(3, 3)]],
    actions: [addOf(2, 2)],
    conflict: ['concurrent-append', { path: '3-3' }],
  }),
  check('test_replace_where_disjoint_empty_allows_commit', {
    reads: readOf(2, 3),
    winners: [[addOf(5, 5)]],
    actions: [addOf(2, 2)],
  }),
]

export const deltaRsCases = [...plain, ...compaction, ...ranges]
