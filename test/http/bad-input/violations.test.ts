import t from 'tap'
import { add, plainSchema } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t)
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
for (const id of [table, byDay]) await server.published(id)

const json = { 'content-type': 'application/json' }
const path = `/tables/${table}/commits`

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

const themes = { violations, sums }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}
