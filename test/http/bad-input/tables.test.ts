import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { plainSchema } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t)
const root = join(server.dataDir, 'tables')

const orders = await server.makeTable({ name: 'orders', location: join(root, 'here') })
await server.published(orders)
const inRoot = (name: string) => join(root, name)
await mkdir(inRoot('foreign/_delta_log'), { recursive: true })
await writeFile(inRoot('foreign/_delta_log/00000000000000000000.json'), '{}\n')
await writeFile(inRoot('file'), 'a file')
await mkdir(inRoot('file-for-log'))
await writeFile(inRoot('file-for-log/_delta_log'), 'a file')
await mkdir(inRoot('link-for-log'))
await symlink(server.dataDir, inRoot('link-for-log/_delta_log'))
await mkdir(inRoot('link-in-for-log'))
await symlink(inRoot('file-for-log'), inRoot('link-in-for-log/_delta_log'))
await mkdir(inRoot('dead-link-for-log'))
await symlink(join(server.dataDir, 'nothing'), inRoot('dead-link-for-log/_delta_log'))
await symlink(server.dataDir, inRoot('link-out'))
await symlink(inRoot('here'), inRoot('link-in'))
await symlink(join(server.dataDir, 'nothing'), inRoot('dead-link'))
await symlink('loop', inRoot('loop'))

const create = (what: string, definition: object, refusal: Pick<Refusal, 'code' | 'tells'>) => ({
  what,
  path: '/tables',
  json: { name: 'fresh', schema: plainSchema, ...definition },
  ...refusal,
})
const wrong = (code: 'invalid-request' | 'invalid-table', pointer: string, message: RegExp) => ({
  code,
  tells: { errors: [{ pointer, message }] },
})

const names: Refusal[] = [
  ...[
    ['a name with a space', 'a b'],
    ['a name with SQL', "x'); drop table tables; --"],
    ['a name with a NUL', 'a\0b'],
    ['a name with a slash', 'a/b'],
    ['a name of dots', '..'],
    ['a name that ends in a dot', 'a.'],
    ['a name that begins with a dash', '-a'],
    ['a name in other letters', 'größe'],
    ['a name with a line feed behind', 'orders\n'],
  ].map(([what, name]) =>
    create(String(what), { name }, wrong('invalid-request', '/name', /Parts of letters/)),
  ),
  create('an empty name', { name: '' }, wrong('invalid-request', '/name', /1 characters/)),
  create('a long name', { name: 'a'.repeat(256) }, wrong('invalid-request', '/name', /255/)),
  create(
    'a name like an id',
    { name: '0197A8C2-4f0e-7c55-9b43-1f6d6f0c2f10' },
    wrong('invalid-table', '/name', /UUID/),
  ),
  create('a name that is taken', { name: 'orders' }, { code: 'table-name-taken' }),
  create(
    'a name that is taken in another case',
    { name: 'ORDERS' },
    { code: 'table-name-taken', tells: { name: 'orders' } },
  ),
]

const place = (what: string, location: string, detail: RegExp) =>
  create(what, { location }, { code: 'location-not-allowed', tells: { detail } })
const taken = (what: string, location: string) =>
  create(what, { location }, { code: 'location-taken' })

const locations: Refusal[] = [
  place('a relative path', 'here', /absolute/),
  place('a dot', '.', /absolute/),
  place('a blank', ' ', /absolute/),
  place('another storage', 'https://bucket/orders', /absolute/),
  place('a bucket that is not allowed', 's3://bucket/orders', /none of the allowed/),
  place('no bucket', 's3://', /s3:\/\/bucket/),
  place('a way out of a bucket', 's3://bucket/a/../b', /No part/),
  place('the root of all', '/', /none of the allowed/),
  place('a folder of the system', '/etc', /none of the allowed/),
  place('the allowed folder itself', root, /none of the allowed/),
  place('the allowed folder with a slash', `${root}/`, /none of the allowed/),
  place('a way out', `${root}/../elsewhere`, /none of the allowed/),
  place('a longer way out', `${root}/a/b/../../../elsewhere`, /none of the allowed/),
  place('a way out in a URI', `file://${root}/%2e%2e/elsewhere`, /none of the allowed/),
  place('a link out', inRoot('link-out/orders'), /leads to/),
  place('the working folder by the kernel', '/proc/self/cwd/orders', /none of the allowed/),
  place('a link to nowhere', inRoot('dead-link'), /link to nowhere/),
  place('a folder behind a link to nowhere', inRoot('dead-link/orders'), /link to nowhere/),
  place('a link to itself', inRoot('loop'), /cannot be looked at/),
  place('a file', inRoot('file'), /not a directory/),
  place('a folder in a file', inRoot('file/orders'), /cannot be looked at/),
  place('a file in the place of the log', inRoot('file-for-log'), /not a folder/),
  place('a link in the place of the log', inRoot('link-for-log'), /leads to/),
  place('a link in the place of the log that stays', inRoot('link-in-for-log'), /is a link to/),
  place('a dead link in the place of the log', inRoot('dead-link-for-log'), /link to nowhere/),
  place('a name too long for a folder', inRoot('n'.repeat(300)), /too long/),
  place(
    'a path too long for the index',
    inRoot(Array.from({ length: 12 }, () => '字'.repeat(60)).join('/')),
    /2000 bytes/,
  ),
  place('a NUL', inRoot('a\0b'), /NUL/),
  place('a URI with a NUL', `file://${root}/a%00b`, /NUL/),
  place('a URI of another host', `file://host${root}/a`, /host/),
  place('a URI with an encoded slash', `file://${root}/a%2Fb`, /encoded/),
  place('a URI with a query', `file://${root}/a?b`, /no query/),
  place('a URI with a fragment', `file://${root}/a#b`, /no fragment/),
  taken('the place of a table', inRoot('here')),
  taken('the place of a table in other words', `${root}/./x/..//here/`),
  taken('the place of a table by a link', inRoot('link-in')),
  taken('the place of a table by a URI', `FILE://${root}/here`),
  taken('a place inside a table', inRoot('here/inside')),
  taken('a place in the log of a table', inRoot('here/_delta_log')),
  taken('a place that holds a log already', inRoot('foreign')),
  create('no text', { location: 5 }, wrong('invalid-request', '/location', /string/)),
  create('an empty text', { location: '' }, wrong('invalid-request', '/location', /1 characters/)),
  create(
    'a long text',
    { location: `/${'a/'.repeat(600)}` },
    wrong('invalid-request', '/location', /1000/),
  ),
]

const column = (more: object) => ({
  type: 'struct',
  fields: [{ name: 'id', type: 'long', nullable: true, metadata: {}, ...more }],
})
const nested = (depth: number) =>
  Array.from({ length: depth }).reduce(
    (elementType: unknown) => ({ type: 'array', elementType, containsNull: true }),
    'long',
  )
const schemas: Refusal[] = [
  create(
    'a text for a schema',
    { schema: 'id long' },
    wrong('invalid-request', '/schema', /object/),
  ),
  create('no schema', { schema: undefined }, wrong('invalid-request', '', /'schema'/)),
  create('an empty object', { schema: {} }, wrong('invalid-table', '/schema', /struct/)),
  create(
    'a struct without fields',
    { schema: { type: 'struct' } },
    wrong('invalid-table', '/schema/fields', /array/),
  ),
  create(
    'a type that is none',
    { schema: column({ type: 'int64' }) },
    wrong('invalid-table', '/schema/fields/0/type', /long/),
  ),
  create(
    'SQL for a type',
    { schema: column({ type: "long'; --" }) },
    wrong('invalid-table', '/schema/fields/0/type', /not a type/),
  ),
  create(
    'a column without a name',
    { schema: column({ name: '' }) },
    wrong('invalid-table', '/schema/fields/0/name', /empty/),
  ),
  create(
    'a column with a NUL',
    { schema: column({ name: 'a\0' }) },
    wrong('invalid-table', '/schema/fields/0/name', /NUL/),
  ),
  create(
    'a column with a flag in words',
    { schema: column({ nullable: 'yes' }) },
    wrong('invalid-table', '/schema/fields/0/nullable', /true or false/),
  ),
  create(
    'types in types in types',
    { schema: column({ type: nested(130) }) },
    { code: 'invalid-table', tells: { detail: /nests deeper/ } },
  ),
]

const others: Refusal[] = [
  create(
    'a partition column that is no column',
    { partitionColumns: ['day'] },
    wrong('invalid-table', '/partitionColumns/0', /"day"/),
  ),
  create(
    'a partition column in another case',
    { partitionColumns: ['ID'] },
    { code: 'invalid-table' },
  ),
  create(
    'a partition column twice',
    { partitionColumns: ['id', 'id'] },
    wrong('invalid-table', '/partitionColumns/1', /twice/),
  ),
  create(
    'a number for a partition column',
    { partitionColumns: [1] },
    wrong('invalid-request', '/partitionColumns/0', /string/),
  ),
  create(
    'a text for partition columns',
    { partitionColumns: 'id' },
    wrong('invalid-request', '/partitionColumns', /array/),
  ),
  create(
    'a NUL in the description',
    { description: 'a\0b' },
    wrong('invalid-request', '/description', /NUL/),
  ),
  create(
    'a long description',
    { description: 'a'.repeat(10_001) },
    wrong('invalid-request', '/description', /10000/),
  ),
  create(
    'a number for a property',
    { configuration: { 'delta.appendOnly': true } },
    wrong('invalid-request', '/configuration/delta.appendOnly', /string/),
  ),
  create(
    'a property that Delta cannot read',
    { configuration: { 'delta.appendOnly': 'perhaps' } },
    wrong('invalid-table', '/configuration/delta.appendOnly', /./),
  ),
  create(
    'a NUL in a property',
    { configuration: { 'a\0': 'b' } },
    { code: 'invalid-table', tells: { detail: /NUL/ } },
  ),
  create(
    'thousands of properties',
    { configuration: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [i, ''])) },
    wrong('invalid-request', '/configuration', /1000/),
  ),
  create(
    'a protocol of the future',
    { protocol: { minReaderVersion: 9, minWriterVersion: 99 } },
    { code: 'invalid-table' },
  ),
  create(
    'a protocol below one',
    { protocol: { minReaderVersion: 0, minWriterVersion: -1 } },
    wrong('invalid-table', '/protocol/minReaderVersion', /at least 1/),
  ),
  create(
    'a protocol that fits no integer',
    { protocol: { minReaderVersion: 1e308, minWriterVersion: 1e308 } },
    { code: 'invalid-table' },
  ),
  create(
    'a feature that nobody knows',
    {
      protocol: {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['telepathy'],
        writerFeatures: ['telepathy'],
      },
    },
    { code: 'invalid-table', tells: { detail: /telepathy/ } },
  ),
]

const themes = { names, locations, schemas, others }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}

t.test('every fault of a definition is told at once', async (t) => {
  const { body } = await server.post('/tables', { name: '', colour: 1, partitionColumns: [1, 2] })
  const found = body.errors.map(({ pointer }: { pointer: string }) => pointer)
  t.strictSame(found.sort(), [
    '',
    '',
    '/name',
    '/name',
    '/partitionColumns/0',
    '/partitionColumns/1',
  ])
})

t.test('a refusal that was kept under a key is answered again', async (t) => {
  const send = () =>
    server.post('/tables', { name: 'orders', schema: plainSchema }, { 'idempotency-key': 'taken' })
  const first = await send()
  const again = await send()
  t.match(again, { status: 409, body: { code: 'table-name-taken' } })
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.equal(again.text, first.text)
})
