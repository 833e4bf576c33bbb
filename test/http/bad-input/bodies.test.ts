import t from 'tap'
import { add, plainSchema } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t, { bodyBytesMax: 8 * 1024 * 1024 })
const table = await server.makeTable({ name: 'orders' })
await server.published(table)

const commits = `/tables/${table}/commits`
const json = { 'content-type': 'application/json' }
const ndjson = { 'content-type': 'application/x-ndjson' }
const jsonOnly = { supported: ['application/json'] }
const jsonOrLines = { supported: ['application/json', 'application/x-ndjson'] }
const missing = { errors: [{ pointer: '', message: /missing/ }] }
const bytes = (...values: number[]) => Uint8Array.from(values)

/** An object with this many members, none of which means anything. */
const strangers = (count: number) =>
  `{${Array.from({ length: count }, (_, index) => `"m${index}":0`).join(',')}}`

const types: Refusal[] = [
  {
    what: 'a body without a content type',
    path: '/tables',
    raw: new TextEncoder().encode('{}'),
    code: 'unsupported-media-type',
    tells: { detail: /no Content-Type/, ...jsonOnly },
  },
  ...['text/xml', 'text/plain', 'application/vnd.api+json', 'application/json+x', 'json', ';;'].map(
    (type): Refusal => ({
      what: `a body of type ${type}`,
      path: commits,
      raw: '{}',
      headers: { 'content-type': type },
      code: 'unsupported-media-type',
      tells: jsonOrLines,
    }),
  ),
  {
    what: 'lines where only JSON is taken',
    path: '/tables',
    raw: '{}',
    headers: ndjson,
    code: 'unsupported-media-type',
    tells: jsonOnly,
  },
  {
    what: 'a form where no body is taken',
    path: `/tables/${table}/undrop`,
    raw: 'a=b',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    code: 'unsupported-media-type',
    tells: jsonOnly,
  },
  {
    what: 'a compressed body',
    path: '/tables',
    raw: bytes(0x1f, 0x8b, 8, 0),
    headers: { ...json, 'content-encoding': 'gzip' },
    code: 'unsupported-media-type',
    tells: { detail: /Content-Encoding gzip/, ...jsonOnly },
  },
]

const empty: Refusal[] = [
  ['no body and no content type', '/tables', {}],
  ['an empty JSON body', '/tables', { raw: '', headers: json }],
  ['a body of white space', '/tables', { raw: ' \r\n\t ', headers: json }],
  ['empty lines', commits, { raw: '', headers: ndjson }],
  ['blank lines alone', commits, { raw: '\n\r\n  \n', headers: ndjson }],
].map(([what, path, sent]) => ({
  ...(sent as object),
  what: what as string,
  path: path as string,
  code: 'invalid-request' as const,
  tells: missing,
}))

const notJson: Refusal[] = [
  ['a body that ends too early', '{"name": ', /Unexpected end/],
  ['a comma too many', '{"name": "a",}', /position 13/],
  ['single quotes', "{'name': 'a'}", /position 1/],
  ['NaN', '{"name": NaN}', /NaN|position 9/],
  ['two values', '{} {}', /position 3/],
  ['a bare word', 'orders', /orders/],
  ['a NUL byte between tokens', '{"name"\0: "a"}', /position 7/],
  ['a control character in a string', '{"name": "a\nb"}', /control character/],
  ['four megabytes of open brackets within a string', `"${'['.repeat(4e6)}`, /Unterminated/],
].map(([what, raw, detail]) => ({
  what: what as string,
  path: '/tables',
  raw: raw as string,
  headers: json,
  code: 'invalid-json' as const,
  tells: { detail },
}))

const notText: Refusal[] = [
  ['a byte that is never UTF-8', bytes(0x7b, 0x22, 0xff, 0x22, 0x7d)],
  ['a surrogate written as UTF-8', bytes(0x22, 0xed, 0xa0, 0x80, 0x22)],
  ['a character cut in two', bytes(0x22, 0xe2, 0x82)],
  ['UTF-16', Uint8Array.from(Buffer.from('\ufeff{"name":"a"}', 'utf16le'))],
].flatMap(([what, raw]) =>
  [json, ndjson].map((headers) => ({
    what: `${what} in ${headers['content-type']}`,
    path: commits,
    raw: raw as Uint8Array<ArrayBuffer>,
    headers,
    code: 'invalid-json' as const,
    tells: { detail: /not UTF-8/ },
  })),
)

const shapes: Refusal[] = [
  ['null', 'null', { pointer: '', message: 'must be object' }],
  ['an array', '[]', { pointer: '', message: 'must be object' }],
  ['a string', '"x"', { pointer: '', message: 'must be object' }],
  ['a number', '1e400', { pointer: '', message: 'must be object' }],
  [
    'an unknown field',
    JSON.stringify({ name: 'n', schema: plainSchema, colour: 1 }),
    { pointer: '', message: 'has an unknown field "colour"' },
  ],
  [
    'a member named __proto__',
    `{"name":"n","schema":${JSON.stringify(plainSchema)},"__proto__":{"name":"x"}}`,
    { pointer: '', message: 'has an unknown field "__proto__"' },
  ],
  [
    'a member named constructor',
    `{"name":"n","schema":${JSON.stringify(plainSchema)},"constructor":{"prototype":{}}}`,
    { pointer: '', message: 'has an unknown field "constructor"' },
  ],
  [
    'a number for a string',
    JSON.stringify({ name: 5, schema: plainSchema }),
    { pointer: '/name', message: 'must be string' },
  ],
  [
    'a repeated member',
    '{"name":"a","schema":{},"name":"b"}',
    { pointer: '/name', message: /repeats/ },
  ],
  [
    'a repeated member deep within, under an escaped name',
    '{"name":"a","schema":{"fields":[1,{"a/b":[],"x":"{\\"x\\":1}","\\u0061/b":1}]}}',
    { pointer: '/schema/fields/1/a~1b', message: /repeats/ },
  ],
  [
    'half a character',
    '{"name":"a","schema":{"fields":[{"name":"\\ud83d"}]}}',
    { pointer: '/schema/fields/0/name', message: /surrogate/ },
  ],
  [
    'half a character in a name',
    '{"name":"a","schema":{"x\\udc00":1}}',
    { pointer: '/schema', message: /surrogate/ },
  ],
  [
    'four megabytes of open brackets',
    '['.repeat(4e6),
    { pointer: '', message: /nests deeper than 400/ },
  ],
  [
    'two megabytes of nested arrays',
    `${'['.repeat(1e6)}${']'.repeat(1e6)}`,
    { pointer: '', message: /nests deeper than 400/ },
  ],
  [
    'a field with a name of a megabyte',
    `{"${'x'.repeat(1e6)}":1,"name":"n","schema":{}}`,
    { pointer: '', message: /^has an unknown field "x{200}…"$/ },
  ],
].map(([what, raw, fault]) => ({
  what: what as string,
  path: '/tables',
  raw: raw as string,
  headers: json,
  code: 'invalid-request' as const,
  tells: { errors: [fault] },
}))

const sizes: Refusal[] = [
  {
    what: 'a definition of a table of more than four megabytes',
    path: '/tables',
    raw: ' '.repeat(4 * 1024 * 1024 + 1),
    headers: json,
    code: 'body-too-large',
    tells: { maxBytes: 4 * 1024 * 1024 },
  },
  {
    what: 'a commit of more bytes than the server takes',
    path: commits,
    raw: ' '.repeat(8 * 1024 * 1024 + 1),
    headers: json,
    code: 'body-too-large',
    tells: { maxBytes: 8 * 1024 * 1024 },
  },
  {
    what: 'more values than the server reads',
    path: commits,
    raw: `{"actions":[${'0,'.repeat(4_000_000)}0]}`,
    headers: json,
    code: 'body-too-large',
    tells: { maxValues: 4_000_000 },
  },
  {
    what: 'a body where none is taken',
    path: `/tables/${table}/undrop`,
    json: { name: 'other' },
    code: 'invalid-request',
    tells: { errors: [{ pointer: '', message: /not taken/ }] },
  },
  {
    what: 'a body with a DELETE',
    method: 'DELETE',
    path: `/tables/${table}`,
    json: [1],
    code: 'invalid-request',
    tells: { errors: [{ pointer: '', message: /not taken/ }] },
  },
]

const masses: Refusal[] = [
  {
    what: 'half a million unknown fields',
    path: commits,
    raw: strangers(500_000),
    headers: json,
    code: 'invalid-request',
  },
  {
    what: 'half a million wrong actions',
    path: commits,
    raw: `{"actions":[${'{"add":{}},'.repeat(500_000)}{}]}`,
    headers: json,
    code: 'invalid-request',
    tells: { errors: [{ pointer: '/actions/0/add' }] },
  },
  {
    what: 'two thousand wrong actions, of which a hundred faults are told',
    path: commits,
    raw: `{"actions":[${'{"add":{"path":1}},'.repeat(2000)}{}]}`,
    headers: json,
    code: 'invalid-request',
    tells: { errors: { length: 100 } },
  },
  {
    what: 'four million lines',
    path: commits,
    raw: '1\n'.repeat(4_000_000),
    headers: ndjson,
    code: 'invalid-request',
    tells: { errors: [{ pointer: '/actions/0', line: 1 }] },
  },
]

const themes = { types, empty, notJson, notText, shapes, sizes, masses }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}

t.test('what is unusual about a body, but harmless, is taken', async (t) => {
  const send = (type: string, raw: string) =>
    server.call('POST', commits, { raw, headers: { 'content-type': type } })
  const action = JSON.stringify(add('a'))
  const body = `{"actions":[${action}]}`
  const taken = [
    await send('APPLICATION/JSON', body),
    await send('application/json; charset=UTF-8', body),
    await send(' application/json ;a=b', `\ufeff${body}`),
    await send('Application/X-NDJSON', `\ufeff\r\n${action}\r\n\r\n`),
    await server.post(`/tables/${table}/undrop`, {}),
    await server.call('POST', `/tables/${table}/undrop`, { raw: '', headers: json }),
  ]
  t.strictSame(
    taken.map(({ status }) => status),
    [201, 201, 201, 201, 200, 200],
  )
})
