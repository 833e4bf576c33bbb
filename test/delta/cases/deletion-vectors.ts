import type { DeletionVector } from '../../../src/delta/actions.ts'
import { deletionVectorId } from '../../../src/delta/deletion-vectors.ts'
import { action, add, metadata, protocol, remove, stats, table, vector } from '../support.ts'
import { type Case, type Expected, onTable } from './case.ts'

const [a, b] = [vector('a'), vector('b')]
const id = (value: DeletionVector) => deletionVectorId(value)

function dvTable(files: Record<string, string | null> = {}) {
  return table({
    files,
    configuration: { 'delta.enableDeletionVectors': 'true' },
    features: ['deletionVectors'],
  })
}

function withVector(path: string, deletionVector: DeletionVector) {
  return add(path, { stats: stats(9), deletionVector })
}

/** A vector by itself, on a file that is new. */
function shape(name: string, value: Partial<DeletionVector>, ...expected: Expected[]): Case {
  return onTable(name, [withVector('x', { ...a, ...value })], dvTable(), ...expected)
}

const inline = { storageType: 'i', pathOrInlineDv: '0rr910^XYZ', offset: null } as const
const invalid = (message: RegExp): Expected => ['deletion-vector-invalid', 0, message]

export const deletionVectorCases: readonly Case[] = [
  onTable('a first vector', [remove('x'), withVector('x', a)], dvTable({ x: null })),
  onTable(
    'another vector',
    [withVector('x', b), remove('x', { deletionVector: a })],
    dvTable({ x: id(a) }),
  ),
  onTable('the same vector again', [withVector('x', a)], dvTable({ x: id(a) })),
  onTable(
    'another vector without the remove of the first',
    [withVector('x', b)],
    dvTable({ x: id(a) }),
    ['file-already-live', 0],
  ),
  onTable(
    'another vector with the remove of a wrong one',
    [withVector('x', b), remove('x')],
    dvTable({ x: id(a) }),
    ['file-already-live', 0],
  ),
  onTable(
    'a vector added and removed',
    [remove('x', { deletionVector: a }), withVector('x', a)],
    dvTable(),
    ['add-and-remove', 1],
  ),
  onTable('two vectors of one file', [withVector('x', a), withVector('x', b)], dvTable(), [
    'duplicate-add',
    1,
  ]),
  onTable(
    'two removed vectors of one file',
    [remove('x'), remove('x', { deletionVector: a })],
    dvTable(),
    ['duplicate-remove', 1],
  ),
  onTable(
    'a vector where they are off',
    [withVector('x', a)],
    table({ features: ['deletionVectors'] }),
    ['deletion-vectors-off', 0],
  ),
  onTable(
    'a vector without the feature',
    [withVector('x', a)],
    table({ configuration: { 'delta.enableDeletionVectors': 'true' } }),
    ['deletion-vectors-off', 0],
  ),
  onTable(
    'an old vector where they are off now',
    [withVector('x', a)],
    table({ features: ['deletionVectors'], files: { x: id(a) } }),
  ),
  onTable('a vector in the commit that turns them on', [
    withVector('x', a),
    action('protocol', protocol('deletionVectors')),
    action('metaData', metadata({ configuration: { 'delta.enableDeletionVectors': 'true' } })),
  ]),
  onTable('a vector on a file without a good path', [withVector('', a)], dvTable(), [
    'path-empty',
    0,
  ]),
  onTable('a vector without statistics', [add('x', { deletionVector: a })], dvTable(), [
    'deletion-vector-without-records',
    0,
  ]),
  onTable(
    'a vector without a record count',
    [add('x', { deletionVector: a, stats: '{}' })],
    dvTable(),
    ['deletion-vector-without-records', 0],
  ),
  shape('a vector of all rows', { cardinality: 9 }),
  shape('a vector of no rows', { cardinality: 0 }),
  shape('a vector of too many rows', { cardinality: 10 }, invalid(/removes 10 of 9 rows/)),
  shape('a vector without an offset', { offset: null }),
  shape('a vector in a folder', { pathOrInlineDv: `ab${'c'.repeat(20)}` }),
  shape('a vector with a short name', { pathOrInlineDv: 'abc' }, invalid(/20 characters of Z85/)),
  shape('a vector with an odd name', { pathOrInlineDv: 'ä'.repeat(20) }, invalid(/of Z85/)),
  shape(
    'a vector out of the table',
    { pathOrInlineDv: `..${'c'.repeat(20)}` },
    invalid(/no folder name/),
  ),
  shape(
    'a vector far out of the table',
    { pathOrInlineDv: `../x${'c'.repeat(20)}` },
    invalid(/no folder name/),
  ),
  shape('an inline vector', inline),
  shape('an inline vector with an offset', { ...inline, offset: 0 }, invalid(/leave it out/)),
  shape('an empty inline vector', { ...inline, pathOrInlineDv: '' }, invalid(/not in Z85/)),
  shape('a cut inline vector', { ...inline, pathOrInlineDv: 'abcd' }, invalid(/not in Z85/)),
  shape('a vector by absolute path', { storageType: 'p', pathOrInlineDv: 's3://b/c.bin' }),
  shape(
    'a vector by relative path',
    { storageType: 'p', pathOrInlineDv: 'c.bin' },
    invalid(/"c.bin" is relative/),
  ),
  shape('a negative offset', { offset: -1 }, invalid(/offset from 0/)),
  shape('a negative size', { sizeInBytes: -1 }, invalid(/sizeInBytes from 0/)),
  shape('a huge size', { sizeInBytes: 2 ** 31 }, invalid(/sizeInBytes from 0/)),
  shape('a negative cardinality', { cardinality: -1 }, invalid(/non-negative cardinality/)),
  onTable(
    'a vector with a NUL on a remove',
    [remove('x', { deletionVector: { ...a, storageType: 'p', pathOrInlineDv: '/\0' } })],
    ['text-not-storable', 0],
  ),
  onTable(
    'a cardinality beyond longs',
    [
      action(
        'remove',
        remove('x', { deletionVector: a }).body,
        JSON.stringify({ remove: remove('x', { deletionVector: a }).body }).replace(
          '"cardinality":1',
          '"cardinality":9223372036854775808',
        ),
      ),
    ],
    ['long-invalid', 0, /^deletionVector cardinality/],
  ),
]
