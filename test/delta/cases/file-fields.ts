import { action, add, cdc, feedingTable, remove } from '../support.ts'
import { type Case, onTable } from './case.ts'

const paths: Case[] = [
  onTable('legal paths', [add('a%20b/c'), remove('d'), cdc('_change_data/e')], feedingTable()),
  onTable('an add without a path', [add('')], ['path-empty', 0, 'add path cannot be empty']),
  onTable(
    'a remove without a path',
    [remove('')],
    ['path-empty', 0, 'remove path cannot be empty'],
  ),
  onTable('a cdc without a path', [cdc('')], feedingTable(), [
    'path-empty',
    0,
    'cdc path cannot be empty',
  ]),
  onTable(
    'an absolute path',
    [add('/a'), remove('s3://b/c')],
    ['path-absolute', 0],
    ['path-absolute', 1],
  ),
  onTable('a path that leaves the table', [add('../a')], ['path-parent-segment', 0]),
  onTable('a path with an empty segment', [add('a//b')], ['path-empty-segment', 0]),
  onTable('a path into the log', [add('_delta_log/x')], ['path-in-log', 0]),
  onTable('a path in broken encoding', [remove('a%')], ['path-encoding-invalid', 0]),
  onTable('a path with a query', [cdc('a?b')], feedingTable(), ['path-character-invalid', 0]),
  onTable('a path that is too long', [add('x'.repeat(5000))], ['path-too-long', 0, /"x{100}"…/]),
]

const numbers: Case[] = [
  onTable(
    'a negative size',
    [add('a', { size: -1 }), remove('b', { size: -1 }), cdc('c', { size: -1 })],
    feedingTable(),
    ['size-negative', 0, 'file size must be non-negative'],
    ['size-negative', 1, 'file size must be non-negative'],
    ['size-negative', 2, 'file size must be non-negative'],
  ),
  onTable(
    'sizes of zero',
    [add('a', { size: 0 }), remove('b', { size: 0 }), cdc('c', { size: 0 })],
    feedingTable(),
  ),
  onTable(
    'a negative modification time',
    [add('a', { modificationTime: -1 })],
    ['time-negative', 0, 'modificationTime must be non-negative'],
  ),
  onTable(
    'a negative deletion timestamp',
    [remove('a', { deletionTimestamp: -1 })],
    ['time-negative', 0],
  ),
  onTable(
    'negative row ids',
    [remove('a', { baseRowId: -1, defaultRowCommitVersion: -2 })],
    ['row-id-negative', 0, 'baseRowId must be non-negative'],
    ['row-id-negative', 0],
  ),
  onTable('row ids of removed files, and none', [
    remove('a', { baseRowId: 0, defaultRowCommitVersion: 0 }),
    remove('b', { baseRowId: null }),
    add('c', { baseRowId: null }),
  ]),
  onTable('the largest long', [
    action(
      'add',
      add('a').body,
      '{"add":{"path":"a","partitionValues":{},"size":9223372036854775807,"modificationTime":1,"dataChange":true}}',
    ),
  ]),
  onTable('the smallest long', [
    action(
      'txn',
      { appId: 'a', version: -(2 ** 63) },
      '{"txn":{"appId":"a","version":-9223372036854775808}}',
    ),
  ]),
  onTable(
    'a long that is too large',
    [
      action(
        'add',
        add('a').body,
        '{"add":{"path":"a","partitionValues":{},"size":9223372036854775808,"modificationTime":1,"dataChange":true}}',
      ),
    ],
    [
      'long-invalid',
      0,
      /^size must be a whole number from -9223372036854775808 to 9223372036854775807/,
    ],
  ),
  onTable(
    'a long that is too large, without many digits',
    [action('txn', { appId: 'a', version: 1e19 }, '{"txn":{"appId":"a","version":1e19}}')],
    ['long-invalid', 0, /^txn version/],
  ),
  onTable(
    'longs with a fraction or an exponent',
    [
      action(
        'add',
        add('a').body,
        '{"add":{"path":"a","partitionValues":{},"size":10.0,"modificationTime":1e0,"dataChange":true}}',
      ),
    ],
    ['long-invalid', 0, /^size/],
    ['long-invalid', 0, /^modificationTime/],
  ),
  onTable('a fraction where no whole number is asked for', [
    action('add', { ...add('b').body, future: 1.5 } as never),
  ]),
  onTable(
    'a member twice',
    [
      action(
        'add',
        add('b').body,
        '{"add":{"path":"a","path":"b","partitionValues":{},"size":10,"modificationTime":1,"dataChange":true}}',
      ),
    ],
    ['member-repeated', 0, /^add has the same member twice/],
  ),
  onTable(
    'a member twice, deep inside',
    [
      action(
        'add',
        { ...add('b').body, tags: { x: '1' } },
        '{"add":{"path":"b","partitionValues":{},"size":10,"modificationTime":1,"dataChange":true,"tags":{"x":"0","x":"1"}}}',
      ),
    ],
    ['member-repeated', 0],
  ),
  onTable('unknown fields, nested and empty ones too', [
    action('add', { ...add('a').body, future: { a: [{ b: null }, [], {}] } } as never),
  ]),
  onTable(
    'an action that nests too deep to be read exactly',
    [
      action(
        'add',
        { ...add('a').body, future: nested(150) } as never,
        JSON.stringify({ add: { ...add('a').body, future: nested(150) } }).replace(
          '"size":10',
          '"size":10.0',
        ),
      ),
    ],
    ['nesting-too-deep', 0],
  ),
]

function nested(depth: number): unknown {
  let value: unknown = []
  for (let level = 1; level < depth; level++) value = [value]
  return value
}

/** The paths and numbers of file actions. */
export const fileFieldCases: readonly Case[] = [...paths, ...numbers]
