import { deletionVectorId } from '../../../src/delta/deletion-vectors.ts'
import {
  action,
  add,
  column,
  metadata,
  protocol,
  remove,
  stats,
  table,
  vector,
} from '../support.ts'
import { type Case, onNothing, onTable } from './case.ts'

const features = ['rowTracking', 'domainMetadata']
const hidden = {
  'delta.rowTracking.materializedRowIdColumnName': '_row-id-col-1',
  'delta.rowTracking.materializedRowCommitVersionColumnName': '_row-commit-version-col-1',
}
const enabled = { 'delta.enableRowTracking': 'true', ...hidden }
const suspended = { 'delta.rowTrackingSuspended': 'true' }
const ids = { baseRowId: 3, defaultRowCommitVersion: 2 }
const [v, w] = [vector('v'), vector('w')]

/** A table at version 4 whose file "live" has the rows 3 to 5, and "old" has no row ids; its highest is 9. */
const tracked = (more: Parameters<typeof table>[0] = {}) =>
  table({
    features,
    files: { live: null, old: null, vectored: deletionVectorId(v) },
    lines: {
      live: add('live', { ...ids, stats: stats(3) }),
      old: add('old'),
      vectored: add('vectored', { ...ids, stats: stats(3) }),
    },
    rowIdHighWaterMark: 9,
    configuration: { 'delta.enableDeletionVectors': 'true' },
    ...more,
  })
const withVectors = tracked({ features: [...features, 'deletionVectors'] })

const files: Case[] = [
  onTable('a new file of known length', [add('a', { stats: stats(3) })], tracked()),
  onTable('a new file without rows', [add('a', { stats: stats(0) })], tracked()),
  onTable('a first file', [add('a', { stats: stats(3) })], table({ features })),
  onTable(
    'a new file of unknown length',
    [add('a'), add('b', { stats: '{}' })],
    tracked(),
    ['row-ids-without-records', 0, /^stats must have numRecords/],
    ['row-ids-without-records', 1],
  ),
  onTable(
    'a new file of unknown length where tracking is suspended',
    [add('a')],
    tracked({ configuration: suspended }),
  ),
  onTable(
    'a file of unknown length in the commit that brings the feature',
    [add('a'), action('protocol', protocol(...features))],
    ['row-ids-without-records', 0],
  ),
  onTable('a live file again, with nothing told', [add('live', { stats: stats(3) })], tracked()),
  onTable('a live file again, as it is', [add('live', { ...ids, stats: stats(3) })], tracked()),
  onTable(
    'a live file with other row ids',
    [add('live', { baseRowId: 4, defaultRowCommitVersion: 3, stats: stats(3) })],
    tracked(),
    ['row-ids-contradict', 0, /^baseRowId is 4, but the file has 3/],
    ['row-ids-contradict', 0, /^defaultRowCommitVersion is 3, but the file has 2/],
  ),
  onTable(
    'a live file with another number of records, or none',
    [add('live', { stats: stats(4) }), add('vectored', { deletionVector: v, stats: '{}' })],
    withVectors,
    [
      'row-ids-contradict',
      0,
      /is 4, but the file has 3 records in the table, and as many row ids; say 3/,
    ],
    ['row-ids-without-records', 1, /is missing, but/],
    ['deletion-vector-without-records', 1],
  ),
  onTable(
    'a live file whose number of records was not known',
    [add('a', { stats: stats(3) }), add('b', { stats: stats(8) }), add('c')],
    tracked({
      files: { a: null, b: null, c: null },
      lines: { a: add('a', ids), b: add('b', ids), c: add('c', ids) },
    }),
    ['row-ids-contradict', 1, /rows from baseRowId 3 on lie beyond 9/],
  ),
  onTable(
    'another vector of a file that keeps its row ids',
    [
      remove('vectored', { deletionVector: v, ...ids }),
      add('vectored', { deletionVector: w, stats: stats(3) }),
    ],
    withVectors,
  ),
  onTable(
    'another vector with other row ids',
    [
      remove('vectored', { deletionVector: v, baseRowId: 0 }),
      add('vectored', { deletionVector: w, stats: stats(3), baseRowId: 0 }),
    ],
    withVectors,
    ['row-ids-contradict', 0],
    ['row-ids-contradict', 1],
  ),
  onTable('a removed file with its row ids', [remove('live', ids)], tracked()),
  onTable(
    'a removed file with those of another',
    [remove('live', { defaultRowCommitVersion: 1 })],
    tracked(),
    ['row-ids-contradict', 0],
  ),
  onTable(
    'a removed file with a row id that some readers cannot read',
    [
      action(
        'remove',
        { path: 'live', dataChange: true, baseRowId: 3 },
        '{"remove":{"path":"live","dataChange":true,"baseRowId":3.0}}',
      ),
    ],
    tracked(),
    ['long-invalid', 0],
  ),
  onTable('a removed file that is not there', [remove('gone', { baseRowId: 700 })], tracked()),
  onTable('a file without row ids again', [add('old', { stats: stats(3) })], tracked()),
  onTable(
    'a file without row ids with some of its own',
    [add('old', { stats: stats(3), baseRowId: 1 })],
    tracked(),
    ['row-ids-contradict', 0, /in the table without one; leave it out/],
  ),
  onTable(
    'a file that comes back',
    [add('back', { stats: stats(3), baseRowId: 7, defaultRowCommitVersion: 1 })],
    tracked(),
  ),
  onTable(
    'row ids beyond the highest',
    [add('a', { stats: stats(3), baseRowId: 20 }), add('b', { stats: stats(4), baseRowId: 7 })],
    tracked(),
    ['row-ids-contradict', 0, /from baseRowId 20 on lie beyond 9, the highest row id/],
    ['row-ids-contradict', 1, /7 on lie beyond 9/],
  ),
  onTable(
    'row ids on a table that has none',
    [add('a', { stats: stats(1), baseRowId: 0 })],
    table({ features }),
    ['row-ids-contradict', 0, /beyond -1/],
  ),
  onTable(
    'two files that come back with the same rows',
    [
      add('a', { stats: stats(3), baseRowId: 6 }),
      add('b', { stats: stats(0), baseRowId: 6 }),
      add('c', { stats: stats(2), baseRowId: 4 }),
      add('d', { stats: stats(2), baseRowId: 5 }),
    ],
    tracked(),
    ['row-ids-contradict', 0, /lies within the rows of "d", actions\[3\]/],
    ['row-ids-contradict', 3, /lies within the rows of "c"/],
  ),
  onTable(
    'row ids that are no longs',
    [
      action(
        'add',
        add('live', { baseRowId: 3, stats: stats(3) }).body,
        JSON.stringify({ add: add('live', { baseRowId: 3, stats: stats(3) }).body }).replace(
          ':3',
          ':3.0',
        ),
      ),
    ],
    tracked(),
    ['long-invalid', 0, /^baseRowId/],
  ),
  onTable(
    'the version of the commit on a new file',
    [add('a', { stats: stats(1), defaultRowCommitVersion: 5 })],
    tracked(),
  ),
  onTable(
    'another version on a new file',
    [
      add('a', { stats: stats(1), defaultRowCommitVersion: 4 }),
      add('b', { stats: stats(1), baseRowId: 0, defaultRowCommitVersion: 6 }),
    ],
    tracked(),
    ['row-ids-contradict', 0, /is 4, but the commit makes version 5/],
    ['row-ids-contradict', 1, /is 6/],
  ),
  onTable(
    'row ids where rows are not tracked',
    [
      add('a', { baseRowId: 1 }),
      add('b', { defaultRowCommitVersion: 1 }),
      add('c', { defaultRowCommitVersion: 6 }),
    ],
    ['row-ids-not-tracked', 0, /leave out baseRowId/],
    ['row-ids-contradict', 2, /the commit makes version 5/],
  ),
  onTable(
    'row ids where tracking is suspended',
    [add('a', { stats: stats(1), baseRowId: 1 }), add('live', { ...ids, stats: stats(3) })],
    tracked({ configuration: suspended }),
    ['row-ids-not-tracked', 0],
  ),
]

const metaData = (configuration: Record<string, string>, fields = [column('id')]) =>
  action('metaData', metadata({ configuration, fields }))
const upgrade = action('protocol', protocol(...features))

const tables: Case[] = [
  onNothing('row tracking from the first version', [upgrade, metaData(enabled)]),
  onTable('row tracking enabled on an empty table', [upgrade, metaData(enabled)]),
  onTable(
    'row tracking enabled without the feature',
    [metaData(enabled)],
    ['feature-missing', 0],
    ['feature-missing', 0],
  ),
  onTable(
    'row tracking enabled while files have no row ids',
    [metaData(enabled)],
    tracked({ filesWithoutRowIds: 1 }),
    ['row-tracking-incomplete', 0, /1 files have no row ids yet/],
  ),
  onTable('row tracking enabled where that is not known', [metaData(enabled)], tracked(), [
    'row-tracking-incomplete',
    0,
    /3 files/,
  ]),
  onTable(
    'row tracking enabled with the last file added anew',
    [metaData(enabled), add('old', { stats: stats(1), dataChange: false }), remove('live')],
    tracked({ filesWithoutRowIds: 1 }),
  ),
  onTable(
    'row tracking enabled with the last file removed',
    [metaData(enabled), remove('old'), remove('live')],
    tracked({ filesWithoutRowIds: 1 }),
  ),
  onTable(
    'row tracking enabled with a wrong vector removed',
    [metaData(enabled), remove('old', { deletionVector: v })],
    tracked({ filesWithoutRowIds: 1 }),
    ['row-tracking-incomplete', 0],
  ),
  onTable(
    'row tracking that stays enabled',
    [metaData({ ...enabled, x: '1' })],
    tracked({ configuration: enabled }),
  ),
  onTable(
    'row tracking turned off and suspended',
    [metaData({ ...hidden, ...suspended })],
    tracked({ configuration: enabled }),
  ),
  onTable(
    'row tracking both enabled and suspended',
    [metaData({ ...enabled, ...suspended })],
    table({ features }),
    ['row-tracking-invalid', 0, /cannot both be "true"/],
  ),
  onTable(
    'row tracking enabled without names of hidden columns',
    [metaData({ 'delta.enableRowTracking': 'true' })],
    table({ features }),
    ['row-tracking-invalid', 0, /materializedRowIdColumnName is missing/],
    ['row-tracking-invalid', 0, /materializedRowCommitVersionColumnName is missing/],
  ),
  onTable(
    'hidden columns of other names',
    [metaData({ ...enabled, 'delta.rowTracking.materializedRowIdColumnName': 'other' })],
    tracked({ configuration: enabled }),
    ['row-tracking-invalid', 0, /must stay "_row-id-col-1"/],
  ),
  onTable(
    'hidden columns forgotten',
    [metaData({})],
    tracked({ configuration: enabled }),
    ['row-tracking-invalid', 0],
    ['row-tracking-invalid', 0],
  ),
  onTable(
    'hidden columns with the names of columns',
    [metaData(enabled, [column('_ROW-id-col-1')])],
    tracked({ configuration: enabled }),
    ['row-tracking-invalid', 0, /a name that no column has, not "_row-id-col-1"/],
  ),
  onTable(
    'two hidden columns of one name',
    [
      metaData({
        ...enabled,
        'delta.rowTracking.materializedRowIdColumnName': '_row-commit-version-col-1',
      }),
    ],
    table({ features }),
    ['row-tracking-invalid', 0],
  ),
]

/** Row ids and row tracking. */
export const rowIdCases: readonly Case[] = [...files, ...tables]
