import t from 'tap'
import { add, remove } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t, { actionsMax: 20 })
const table = await server.makeTable()
await server.commit(table, { actions: [add('live')] })
const dropped = await server.makeTable()
await server.call('DELETE', `/tables/${dropped}`)
for (const id of [table, dropped]) await server.published(id)

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
  ...['9223372036854775808', '1e30', '9'.repeat(300)].map((version) =>
    raw(
      `an app version that is no long, in ${version.length} digits`,
      `{"idempotency":{"appId":"a","version":${version}},"actions":[]}`,
      '/idempotency/version',
      /from 0 to 9223372036854775807/,
    ),
  ),
  shape(
    'an app version below zero',
    { idempotency: { appId: 'a', version: -1 } },
    '/idempotency/version',
    />= 0/,
  ),
  shape(
    'an app id with a NUL',
    { idempotency: { appId: 'a\0', version: 1 } },
    '/idempotency/appId',
    /NUL/,
  ),
  shape('reads at no version', { reads: {} }, '/reads', /needs readVersion/),
  shape(
    'a file read that is none',
    { readVersion: 0, reads: { files: ['../a'] } },
    '/reads/files/0',
    /".."/,
  ),
  shape(
    'a predicate of no column',
    {
      readVersion: 0,
      reads: {
        predicates: [
          { op: 'isNull', children: [{ op: 'column', name: "x';--", valueType: 'string' }] },
        ],
      },
    },
    '/reads/predicates/0/children/0/name',
    /not a column/,
  ),
  shape(
    'an isolation level in other letters',
    { isolationLevel: 'serializable' },
    '/isolationLevel',
    /Serializable/,
  ),
  {
    what: 'a version read that is to come',
    path,
    json: { readVersion: 99, actions: [] },
    code: 'version-not-found',
    tells: { currentVersion: 1 },
  },
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

const themes = { proposals, shapes }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}
