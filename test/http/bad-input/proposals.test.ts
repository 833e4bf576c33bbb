import t from 'tap'
import { add, plainSchema, remove } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t, { actionsMax: 20 })
const table = await server.makeTable()
await server.commit(table, { actions: [add('live')] })
const byDay = await server.makeTable({
  schema: {
    type: 'struct',
    fields: [
      { name: 'day', type: 'date', nullable: true, metadata: {} },
      { name: 'price', type: 'decimal(10,2)', nullable: true, metadata: {} },
      { name: 'id', type: 'long', nullable: true, metadata: {} },
    ],
  },
  partitionColumns: ['day', 'price'],
})
const dropped = await server.makeTable()
await server.call('DELETE', `/tables/${dropped}`)
for (const id of [table, byDay, dropped]) await server.published(id)

const json = { 'content-type': 'application/json' }
const path = `/tables/${table}/commits`
const nest = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

const shape = (what: string, proposal: object, pointer: string, message: RegExp): Refusal => ({
  what,
  path,
  json: { actions: [], ...proposal },
  code: 'invalid-request',
  tells: { errors: [{ pointer, message }] },
})
const raw = (what: string, text: string, pointer: string, message: RegExp): Refusal => ({
  what,
  path,
  raw: text,
  headers: json,
  code: 'invalid-request',
  tells: { errors: [{ pointer, message }] },
})

const proposals: Refusal[] = [
  shape('a text for a version', { expectedVersion: '2' }, '/expectedVersion', /integer/),
  shape('a version below zero', { expectedVersion: -1 }, '/expectedVersion', />= 0/),
  shape('a fraction of a version', { expectedVersion: 1.5 }, '/expectedVersion', /integer/),
  shape('nothing for a version', { expectedVersion: null }, '/expectedVersion', /integer/),
  raw(
    '10^20 for a version',
    '{"expectedVersion":100000000000000000000,"actions":[]}',
    '/expectedVersion',
    /<= 9007199254740991/,
  ),
  raw(
    'a version that no double can hold',
    '{"expectedVersion":1e400,"actions":[]}',
    '/expectedVersion',
    /integer/,
  ),
  shape('an unknown field', { expectVersion: 2 }, '', /unknown field "expectVersion"/),
  shape('a NUL in the operation', { operation: 'WR\0TE' }, '/operation', /NUL/),
  shape('an empty operation', { operation: '' }, '/operation', /1 characters/),
  shape('a long operation', { operation: 'W'.repeat(256) }, '/operation', /255/),
  shape('half a character in the operation', { operation: '\ud83d' }, '/operation', /surrogate/),
  shape('a list of parameters', { operationParameters: ['a'] }, '/operationParameters', /object/),
  shape('a number for the engine', { engineInfo: 1 }, '/engineInfo', /string/),
  shape('long user metadata', { userMetadata: 'u'.repeat(100_001) }, '/userMetadata', /100000/),
  raw(
    'deep parameters',
    `{"operationParameters":{"a":${nest(100)}},"actions":[]}`,
    '/operationParameters',
    /deeper than 100/,
  ),
  shape('no actions', { actions: undefined }, '', /'actions'/),
  shape('an object for actions', { actions: {} }, '/actions', /array/),
  {
    what: 'fields in the query beside a JSON body',
    path: `${path}?operation=WRITE&expectedVersion=2`,
    json: { actions: [] },
    code: 'invalid-request',
    tells: { errors: [{ pointer: '/query/operation' }, { pointer: '/query/expectedVersion' }] },
  },
  {
    what: 'more actions than a commit takes',
    path,
    json: { actions: Array.from({ length: 21 }, (_, index) => add(`f${index}`)) },
    code: 'too-many-actions',
    tells: { maxActions: 20, detail: /21 actions/ },
  },
  {
    what: 'a version that is taken',
    path,
    json: { expectedVersion: 1, actions: [] },
    code: 'version-conflict',
    tells: { expected: 1, actual: 2, currentVersion: 1, winner: { version: 1 } },
  },
  {
    what: 'the greatest version',
    path,
    json: { expectedVersion: Number.MAX_SAFE_INTEGER, actions: [] },
    code: 'version-conflict',
    tells: { actual: 2, currentVersion: 1 },
  },
  {
    what: 'a commit to a dropped table',
    path: `/tables/${dropped}/commits`,
    json: { actions: [] },
    code: 'table-dropped',
  },
]

const action = (what: string, one: unknown, pointer: string, message: RegExp) =>
  shape(what, { actions: [add('fine'), one] }, `/actions/1${pointer}`, message)

const shapes: Refusal[] = [
  action('nothing', null, '', /object/),
  action('a list', [], '', /object/),
  action('an empty object', {}, '', /fewer than 1/),
  action('two actions in one', { ...add('a'), ...remove('b') }, '', /more than 1/),
  action('an action that is null', { add: null }, '/add', /object/),
  action('a text for a size', add('a', { size: '100' }), '/add/size', /integer/),
  action('a fraction of a byte', add('a', { size: 0.5 }), '/add/size', /integer/),
  ...['1e400', '9'.repeat(400)].map((size) =>
    raw(
      `a size that no double can hold, in ${size.length} digits`,
      JSON.stringify({ actions: [add('a', { size: 7 })] }).replace('7,', `${size},`),
      '/actions/0/add/size',
      /integer/,
    ),
  ),
  action('an absent path', add('a', { path: undefined }), '/add', /'path'/),
  action('a number for a path', add('a', { path: 7 }), '/add/path', /string/),
  action('a flag in words', add('a', { dataChange: 'true' }), '/add/dataChange', /boolean/),
  action('statistics that are no text', add('a', { stats: {} }), '/add/stats', /string or null/),
  action(
    'a number for a partition value',
    add('a', { partitionValues: { day: 1 } }),
    '/add/partitionValues/day',
    /string or null/,
  ),
  action('half a character', add('a', { tags: { a: '\ud83d' } }), '/add/tags/a', /surrogate/),
  action('a commitInfo that is a text', { commitInfo: 'mine' }, '/commitInfo', /object/),
  action(
    'a commitInfo with a NUL for an operation',
    { commitInfo: { operation: '\0' } },
    '/commitInfo/operation',
    /NUL/,
  ),
  action(
    'a commitInfo with a long operation',
    { commitInfo: { operation: 'W'.repeat(256) } },
    '/commitInfo/operation',
    /255/,
  ),
  raw(
    'the same action twice in one',
    '{"actions":[{"somethingNew":1,"somethingNew":2}]}',
    '/actions/0/somethingNew',
    /repeats/,
  ),
  raw(
    'a path twice',
    `{"actions":[{"add":{"path":"a","path":"b"}}]}`,
    '/actions/0/add/path',
    /repeats/,
  ),
  raw('a repeated list of actions', '{"actions":[],"actions":[]}', '/actions', /repeats/),
  raw(
    'a deep action of an unknown kind',
    `{"actions":[{"somethingNew":${nest(100)}}]}`,
    '/actions/0',
    /deeper than 100/,
  ),
  raw(
    'a deep tag of an unknown field',
    `{"actions":[{"txn":{"appId":"a","version":1,"x":${nest(99)}}}]}`,
    '/actions/0',
    /deeper than 100/,
  ),
]

const illegal = (
  what: string,
  one: unknown,
  code: string,
  message: RegExp,
  to = path,
): Refusal => ({
  what,
  path: to,
  json: { actions: [one] },
  code: 'invalid-actions',
  tells: { violations: [{ code, index: 0, message }] },
})
const number = (what: string, digits: string): Refusal => ({
  what,
  path,
  raw: JSON.stringify({ actions: [add('a', { size: 777 })] }).replace('777', digits),
  headers: json,
  code: 'invalid-actions',
  tells: { violations: [{ code: 'long-invalid', message: /plain digits/ }] },
})
const metaData = (more: object) => ({
  metaData: {
    id: 'a',
    format: { provider: 'parquet', options: {} },
    schemaString: JSON.stringify(plainSchema),
    partitionColumns: [],
    configuration: { 'delta.enableInCommitTimestamps': 'true' },
    ...more,
  },
})

const violations: Refusal[] = [
  illegal('an empty path', add(''), 'path-empty', /^add path cannot be empty$/),
  illegal('an absolute path', add('/etc/passwd'), 'path-absolute', /absolute/),
  illegal('a URI for a path', add('file:///etc/passwd'), 'path-absolute', /scheme/),
  illegal('a path with ..', add('day=1/../../a'), 'path-parent-segment', /".."/),
  illegal('a path with .. in disguise', add('%2e%2e/a'), 'path-parent-segment', /".."/),
  illegal('a path with a NUL', add('a%00b'), 'path-character-invalid', /NUL/),
  illegal('a path with a bare NUL', add('a\0b'), 'path-character-invalid', /control/),
  illegal('a path that is no UTF-8', add('a%FFb'), 'path-encoding-invalid', /%25/),
  illegal('a path into the log', add('_delta_log/0.json'), 'path-in-log', /_delta_log/),
  illegal('a long path', add('p'.repeat(2001)), 'path-too-long', /2000/),
  illegal(
    'a negative size',
    add('a', { size: -1 }),
    'size-negative',
    /^file size must be non-negative$/,
  ),
  illegal('statistics that are no JSON', add('a', { stats: '{' }), 'stats-invalid', /JSON/),
  number('2^63 bytes', '9223372036854775808'),
  number('a number of 300 digits', '9'.repeat(300)),
  number('a size with a point', '100.0'),
  illegal(
    'a partition value for no column',
    add('a', { partitionValues: { day: '1' } }),
    'partition-columns-mismatch',
    /none/,
  ),
  illegal(
    'a partition value named __proto__',
    add('a', JSON.parse('{"partitionValues":{"__proto__":"x"}}')),
    'partition-columns-mismatch',
    /__proto__/,
  ),
  illegal(
    'a partition value that is no date',
    add('a', { partitionValues: { day: "1'; --", price: null } }),
    'partition-value-invalid',
    /date/,
    `/tables/${byDay}/commits`,
  ),
  illegal(
    'a name of an action in other letters',
    { Add: add('a').add },
    'action-misspelled',
    /add/,
  ),
  illegal('a name of an action with a NUL', { 'a\0': {} }, 'text-not-storable', /NUL/),
  illegal(
    'an application id with a NUL',
    { txn: { appId: 'a\0', version: 1 } },
    'text-not-storable',
    /NUL/,
  ),
  illegal(
    'a long application id',
    { txn: { appId: 'é'.repeat(501), version: 1 } },
    'app-id-invalid',
    /1000/,
  ),
  illegal(
    'a schema that is no schema',
    metaData({ schemaString: 'id long' }),
    'schema-invalid',
    /JSON/,
  ),
  illegal(
    'a partition column that is no column',
    metaData({ partitionColumns: ['day'] }),
    'partition-columns-invalid',
    /"day"/,
  ),
  illegal(
    'a protocol below one',
    { protocol: { minReaderVersion: 0, minWriterVersion: 7 } },
    'protocol-version-invalid',
    /at least 1/,
  ),
]

const large = (name: string) =>
  `{"add":{"path":"${name}","partitionValues":{},"size":9223372036854775807,"modificationTime":1,"dataChange":true,"stats":"{\\"numRecords\\":4611686018427387904}"}}`
const sums: Refusal[] = [
  {
    what: 'sizes that no long can hold together with those there are',
    path,
    raw: `{"actions":[${large('a')}]}`,
    headers: json,
    code: 'invalid-actions',
    tells: { violations: [{ code: 'long-invalid', index: 0, path: 'a', message: /sizes/ }] },
  },
  {
    what: 'sizes and rows that no long can hold together',
    path: `/tables/${byDay}/commits`,
    raw: `{"actions":[${['a', 'b', 'c'].map((name) => large(name).replace('{}', '{"day":null,"price":null}')).join()}]}`,
    headers: json,
    code: 'invalid-actions',
    tells: {
      violations: [
        { index: 1, message: /sizes/ },
        { index: 1, message: /numRecords/ },
      ],
    },
  },
]

const themes = { proposals, shapes, violations, sums }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}
