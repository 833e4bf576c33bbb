import t from 'tap'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkProblem, checkRefusals, type Refusal, takeStock } from './refusals.ts'

const server = await startTestServer(t)
const table = await server.makeTable({ name: 'orders' })
const other = await server.makeTable({ name: 'returns' })
for (const id of [table, other]) {
  for (const path of ['a', 'b', 'c']) await server.commit(id, { actions: [add(path)] })
}
for (const id of [table, other]) await server.published(id)

const at = `/tables/${table}`
const get = (what: string, path: string, refusal: Pick<Refusal, 'code' | 'tells'>): Refusal => ({
  what,
  method: 'GET',
  path,
  ...refusal,
})
const cursorOf = async (path: string): Promise<string> =>
  encodeURIComponent((await server.get(path)).body.nextCursor)
const cursor = (text: string) => Buffer.from(text).toString('base64url')
const wrong = (pointer: string, message: RegExp) => ({
  code: 'invalid-request' as const,
  tells: { errors: [{ pointer, message }] },
})

const paths: Refusal[] = [
  get('an address that is nowhere', '/table', { code: 'route-not-found' }),
  get('an address in capitals', '/Tables', { code: 'route-not-found' }),
  get('a doubled slash', '//tables', { code: 'route-not-found' }),
  get('a way out of the documentation', '/docs/static/..%2f..%2fpackage.json', {
    code: 'route-not-found',
  }),
  get('a NUL in the documentation', '/docs/static/%00', { code: 'route-not-found' }),
  {
    what: 'a body to an address that is nowhere, before anyone reads it',
    path: '/nowhere',
    raw: '{',
    headers: { 'content-type': 'text/xml' },
    code: 'route-not-found',
    tells: { detail: 'Nothing is served at POST /nowhere.' },
  },
  get('a lone percent sign', '/tables/%', { code: 'invalid-request' }),
  get('a path that is no UTF-8', '/tables/%FF', { code: 'invalid-request' }),
  get('a surrogate in a path', '/tables/%ED%A0%80', { code: 'invalid-request' }),
  get('a part of a path that is too long', `/tables/${'a'.repeat(6145)}`, { code: 'uri-too-long' }),
]

const tables: Refusal[] = [
  get('an unknown name', '/tables/nope', {
    code: 'table-not-found',
    tells: { detail: /"nope"/ },
  }),
  get('an unknown id', '/tables/0197a8c2-4f0e-7c55-9b43-1f6d6f0c2f10', {
    code: 'table-not-found',
    tells: { detail: /No table has the id/ },
  }),
  get('a malformed UUID', '/tables/0197a8c2-4f0e-7c55-9b43-1f6d6f0c2f1', {
    code: 'table-not-found',
  }),
  get('a name in another case', '/tables/ORDERS', {
    code: 'table-not-found',
    tells: { detail: /There is a table orders/ },
  }),
  ...['snapshot', 'files', 'commits', 'commits/0', 'mirror'].map((part) =>
    get(`an unknown table of ${part}`, `/tables/nope/${part}`, { code: 'table-not-found' }),
  ),
  {
    what: 'a commit to an unknown table',
    path: '/tables/nope/commits',
    json: { actions: [] },
    code: 'table-not-found',
  },
  {
    what: 'a drop of an unknown table',
    method: 'DELETE',
    path: '/tables/nope',
    code: 'table-not-found',
  },
  { what: 'an undrop of an unknown table', path: '/tables/nope/undrop', code: 'table-not-found' },
  ...['a%00b', 'a%20b', 'a%2Fb', '...', "x';drop%20table%20tables;--", 'é', 'a'.repeat(256)].map(
    (name) =>
      get(
        `what is no name: ${name.slice(0, 30)}`,
        `/tables/${name}/mirror`,
        wrong('/params/id', /./),
      ),
  ),
  get('an application that never wrote', `${at}/app-transactions/';--`, {
    code: 'app-transaction-not-found',
  }),
  get('an application with a NUL', `${at}/app-transactions/%00`, wrong('/params/appId', /NUL/)),
  {
    what: 'a commit to a name with a NUL',
    path: '/tables/a%00b/commits',
    json: { actions: [add('a')] },
    ...wrong('/params/id', /letters/),
  },
]

const versions: Refusal[] = [
  ['-1', /must be >= 0/],
  ['100000000000000000000', /must be <= 9007199254740991/],
  ['9007199254740992', /must be <= 9007199254740991/],
  ['1.5', /must be integer/],
  ['latest', /must be integer/],
  ['%00', /must be integer/],
  ['1e400', /must be <= 9007199254740991/],
  ['NaN', /must be integer/],
].flatMap(([version, message]) => [
  get(
    `version ${version} of a commit`,
    `${at}/commits/${version}`,
    wrong('/params/version', message as RegExp),
  ),
  get(
    `version ${version} of a snapshot`,
    `${at}/snapshot?version=${version}`,
    wrong('/query/version', message as RegExp),
  ),
])

const absent: Refusal[] = ['commits/4', 'snapshot?version=4', 'files?version=9007199254740991'].map(
  (path) =>
    get(`a version that is not there: ${path}`, `${at}/${path}`, {
      code: 'version-not-found',
      tells: { currentVersion: 3 },
    }),
)

const times: Refusal[] = [
  get('a time before the table', `${at}/snapshot?timestamp=0000-01-01T00:00:00Z`, {
    code: 'version-not-found',
    tells: { currentVersion: 3 },
  }),
  ...[
    ['a leap second', '2016-12-31T23:59:60Z'],
    ['a time without a zone', '2026-11-20T08:30:00'],
    ['a zone with a bare plus, which is a space in a query', '2026-11-20T08:30:00+01:00'],
    ['a date alone', '2026-11-20'],
    ['an hour that no day has', '2026-11-20T24:30:00Z'],
    ['a day that no month has', '2026-02-30T00:00:00Z'],
    ['a year of five digits', '12026-11-20T00:00:00Z'],
    ['epoch milliseconds', '1700000000000'],
    ['no time at all', ''],
    ['SQL for a time', "now';select%201"],
  ].map(([what, time]) =>
    get(String(what), `${at}/files?timestamp=${time}`, wrong('/query/timestamp', /instant/)),
  ),
  get(
    'a version and a time',
    `${at}/snapshot?version=1&timestamp=2030-01-01T00:00:00Z`,
    wrong('/query/timestamp', /both/),
  ),
]

const queries: Refusal[] = [
  ...['0', '-1', '1001', 'ten', '', '1.5', '1&limit=2', '%00'].map((limit) =>
    get(`limit=${limit}`, `/tables?limit=${limit}`, wrong('/query/limit', /^must be/)),
  ),
  get('an unknown parameter', '/tables?prefix=a', wrong('/query', /unknown field "prefix"/)),
  get('a parameter named __proto__', '/tables?__proto__=1', wrong('/query', /"__proto__"/)),
  get('a parameter where none is taken', `${at}?version=1`, wrong('/query', /"version"/)),
  get('a NUL in a prefix', '/tables?namePrefix=%00', wrong('/query/namePrefix', /letters/)),
  get('half a prefix', '/tables?namePrefix=%', wrong('/query/namePrefix', /letters/)),
  get('a flag that is neither', '/tables?dropped=maybe', wrong('/query/dropped', /boolean/)),
]

const changed = cursor(JSON.stringify([`commits/${table}/0/`, 2.5]))
const cursors: Refusal[] = [
  ['garbage', '/tables', 'garbage'],
  ['one of another list', '/tables', await cursorOf(`${at}/commits?limit=1`)],
  ['one of another table', `/tables/${other}/commits`, await cursorOf(`${at}/commits?limit=1`)],
  ['one of other filters', `${at}/commits?to=2`, await cursorOf(`${at}/commits?limit=1`)],
  ['one of another version', `${at}/files?version=2`, await cursorOf(`${at}/files?limit=1`)],
  ['one that was cut', `${at}/files`, (await cursorOf(`${at}/files?limit=1`)).slice(0, -5)],
  ['one with a fraction', `${at}/commits`, changed],
  ['infinity', `${at}/commits`, cursor(`["commits/${table}/0/",1e400]`)],
  ['a text for a number', `${at}/commits`, cursor(`["commits/${table}/0/","1"]`)],
  ['a line that no file has', `${at}/commits/1`, cursor(`["commit/${table}/1",3000000000]`)],
  ['a NUL', '/tables', cursor('["tables/false/",{"name":"a\\u0000","id":"a"}]')],
  ['no UUID', '/tables', cursor('["tables/false/",{"name":"a","id":"b"}]')],
  ['a list alone', '/tables', cursor('["tables/false/"]')],
  ['an object', '/tables', cursor('{"0":"tables/false/"}')],
].map(([what, path = '', value]) =>
  get(`a cursor that is ${what}`, `${path}${path.includes('?') ? '&' : '?'}cursor=${value}`, {
    code: 'invalid-cursor',
    tells: { detail: /without one/ },
  }),
)
cursors.push(
  get(
    'a cursor of a megabyte less a bit',
    `/tables?cursor=${'a'.repeat(5000)}`,
    wrong('/query/cursor', /1000 characters/),
  ),
)

const themes = { paths, tables, versions, absent, times, queries, cursors }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}

t.test('a method that an address does not know gets those that it knows', async (t) => {
  const before = await takeStock(server)
  const addresses = {
    '/tables': 'GET, HEAD, POST',
    [at]: 'DELETE, GET, HEAD',
    '/health/live': 'GET, HEAD',
  }
  for (const [path, allow] of Object.entries(addresses)) {
    for (const method of ['PUT', 'PATCH', 'OPTIONS', 'PROPFIND', 'PURGE', 'M-SEARCH']) {
      // What is wrong with the body does not matter where no body is right.
      const answer = await server.call(method, path, {
        raw: method === 'OPTIONS' ? '' : '<a/>',
        headers: { 'content-type': 'text/xml' },
      })
      checkProblem(t, answer, 'method-not-allowed')
      t.equal(answer.headers.get('allow'), allow)
    }
  }
  t.strictSame(await takeStock(server), before)
})

t.test('HEAD answers as GET does, without a body', async (t) => {
  for (const path of [at, '/tables', '/tables/nope', `${at}/snapshot?version=-1`]) {
    const [head, whole] = [await server.call('HEAD', path), await server.get(path)]
    t.equal(head.status, whole.status)
    t.equal(head.text, '')
    t.equal(head.headers.get('content-type'), whole.headers.get('content-type'))
  }
})

t.test('what is unusual about an address, but clear, is taken', async (t) => {
  const addresses = [
    '/tables/',
    `${at}/`,
    `/tables/${table.toUpperCase()}`,
    '/tables/%6Frders',
    `${at}/snapshot?timestamp=9999-12-31T23:59:59Z`,
    `${at}/snapshot?timestamp=2100-01-01t00:00:00.123456789%2B14:00`,
    '/health/live?probe=1',
  ]
  for (const path of addresses) t.equal((await server.get(path)).status, 200, path)
  const committed = await server.commit(table.toUpperCase(), { actions: [add('d')] })
  t.match(committed, { status: 201, body: { tableId: table } })
})
