import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const server = await startTestServer(
  t,
  { stateValueBytesMax: 100_000, linesBytesMax: 50_000_000 },
  { mirror: false },
)
const { db, call, get } = server
const { write } = createStateWriter(server)

const ndjson = { 'content-type': 'application/x-ndjson' }
const linesOf = (entries: readonly (object | string)[]) =>
  entries.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join('')
const importTo = (
  namespace: string,
  entries: readonly (object | string)[],
  headers: Record<string, string> = {},
) =>
  call('POST', `/state/${namespace}/import`, {
    raw: linesOf(entries),
    headers: { ...ndjson, ...headers },
  })
const exportOf = async (namespace: string) =>
  (await get(`/state/${namespace}/export`)).text.trim().split('\n')
const entryOf = async (namespace: string, key: string) =>
  (await get(`/state/${namespace}/entries/${encodeURIComponent(key)}`)).body
const revisionOf = async (namespace: string) => (await get(`/state/${namespace}`)).body.revision

async function stages(): Promise<number> {
  const { rows } = await sql`select from pg_tables where tablename like 'stage_%'`.execute(db)
  return rows.length
}

t.test('many entries are written at one revision', async (t) => {
  await write('some', [put('a', 0), put('b', 0), put('gone', 0, { ttlMs: 1 })])
  await write('some', [remove('b')])
  await sleep(2)
  const { status, body, headers } = await importTo('some', [
    { key: 'a', value: { n: 1 }, metadata: { of: 'a' } },
    { key: 'b', value: 'text' },
    { key: 'gone', value: null },
    { key: 'bytes', valueBase64: 'AAH/', contentType: 'image/png', ttlMs: 60_000 },
    '{ "key" : "exact", "value": {"big": 12345678901234567890, "same":1.0} }',
  ])
  t.equal(status, 200)
  t.strictSame(body, { namespace: 'some', revision: 3, imported: 5, created: 4, replaced: 1 })
  t.match(headers.get('consistency-token'), /\//)
  t.match(await entryOf('some', 'a'), {
    version: 2,
    revision: 3,
    value: { n: 1 },
    metadata: { of: 'a' },
  })
  t.match(await entryOf('some', 'b'), { version: 3, value: 'text' }, 'its version goes on')
  t.match(await entryOf('some', 'gone'), { version: 2, value: null })
  const bytes = await entryOf('some', 'bytes')
  t.match(bytes, { valueBase64: 'AAH/', contentType: 'image/png' })
  t.equal(Date.parse(bytes.expiresAt) - Date.parse(bytes.updatedAt), 60_000)
  t.match((await get('/state/some')).body, { entries: 5, deletedKeys: { count: 0 } })
  const { rows } = await sql<{ key: string }>`
    select key from state_history where revision = 3 order by position`.execute(db)
  t.strictSame(
    rows.map(({ key }) => key),
    ['a', 'b', 'gone', 'bytes', 'exact'],
  )
  t.match(await write('some', [put('a', 2)]), { revision: 4 })
  t.equal(await stages(), 0)
})

t.test('what is exported is imported as it was', async (t) => {
  await importTo('source', [
    '{"key":"a\\u0001\\n\\"","value":{"big":12345678901234567890,"s":"\\u0001\\n","same":1.0}}',
    { key: 'bytes', valueBase64: Buffer.alloc(1000, 7).toString('base64'), contentType: 'a/"b' },
    { key: 'empty', valueBase64: '', contentType: 'x/y' },
    { key: 'later', value: 1, ttlMs: 3_600_000, metadata: { b: [1, { c: 'ü' }], a: null } },
    { key: 'short', value: 1, ttlMs: 1 },
  ])
  await sleep(2)
  await call('PUT', '/state/copy', { json: { defaultTtlMs: 5 } })
  const lines = await exportOf('source')
  t.equal(lines.length, 4, 'without what has expired')
  t.match(lines[0], '"big":12345678901234567890')
  t.match(await importTo('copy', lines), { status: 200, body: { imported: 4, created: 4 } })
  await sleep(10)
  const copied = await exportOf('copy')
  const withoutLife = (line: string) => line.replace(/"ttlMs":\d+}$/, '')
  t.strictSame(copied.map(withoutLife), lines.map(withoutLife))
  const left = JSON.parse(copied.find((line) => line.includes('later')) ?? '{}').ttlMs
  t.ok(left > 3_500_000 && left <= 3_600_000)
  t.match((await get('/state/nobody/export')).body, { code: 'namespace-not-found' })
})

t.test('a line that is not right is named, and nothing is written', async (t) => {
  await write('whole', [put('a', 0)])
  const good = { key: 'good', value: 1 }
  const wrong: [object | string, object][] = [
    ['{"key":', { code: 'invalid-json', line: 2 }],
    ['5', { code: 'invalid-request', errors: [{ line: 2, pointer: '' }] }],
    [{ key: 'b' }, { code: 'invalid-request', errors: [{ line: 2 }] }],
    [{ key: 'b', value: 1, ttlMs: 0 }, { errors: [{ line: 2, pointer: '/ttlMs' }] }],
    [{ key: '', value: 1 }, { errors: [{ line: 2, pointer: '/key' }] }],
    [{ key: 'b', valueBase64: '?' }, { errors: [{ line: 2, pointer: '/valueBase64' }] }],
    ['{"key":"b","value":1,"metadata":{"a":"\\u0000"}}', { errors: [{ pointer: '/metadata' }] }],
    ['{"key":"b","value":1,"metadata":{"a":1e400}}', { errors: [{ pointer: '/metadata' }] }],
    ['{"key":"b","value":1,"key":"c"}', { code: 'invalid-request', errors: [{ line: 2 }] }],
    [
      { key: 'b', value: 'x'.repeat(100_001) },
      { code: 'body-too-large', line: 2 },
    ],
  ]
  for (const [line, told] of wrong) {
    const { body } = await importTo('whole', [good, line, good])
    t.match(body, told)
  }
  const repeated = await importTo('whole', [good, '', { key: 'x', value: 1 }, good, good])
  t.match(repeated.body, { code: 'invalid-request', errors: [{ line: 4 }, { line: 1 }] })
  t.match(repeated.body.detail, 'Line 4 of the body: /key repeats the key "good" of line 1')
  t.match((await importTo('whole', [])).status, 400)
  t.equal(await revisionOf('whole'), 1)
  t.equal(await stages(), 0)
})

t.test('a namespace that requires preconditions takes no import', async (t) => {
  await call('PUT', '/state/strict', { json: { requirePrecondition: true } })
  t.match(await importTo('strict', [{ key: 'a', value: 1 }]), {
    status: 428,
    body: { code: 'precondition-required' },
  })
})

t.test('an import that is repeated with its key is done once', async (t) => {
  const key = { 'idempotency-key': 'import-1' }
  const first = await importTo('once', [{ key: 'a', value: 1 }], key)
  const again = await importTo('once', [{ key: 'a', value: 1 }], key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.strictSame(again.body, first.body)
  t.match((await importTo('once', [{ key: 'a', value: 2 }], key)).body, {
    code: 'idempotency-key-reused',
  })
  t.equal(await revisionOf('once'), 1)
})

t.test('imports and single writes to one namespace take turns', async (t) => {
  const all = Array.from({ length: 2000 }, (_, index) => ({ key: `k${index}`, value: index }))
  const single = (index: number) =>
    call('PUT', `/state/busy/entries/k${index}`, { json: { value: 'single' } })
  const answers = await Promise.all([
    ...Array.from({ length: 3 }, () => importTo('busy', all)),
    ...Array.from({ length: 30 }, (_, index) => single(index)),
  ])
  t.ok(answers.every(({ status }) => status === 200 || status === 201))
  const revisions = answers.map(({ body }) => body.revision)
  t.equal(new Set(revisions).size, 33)
  t.equal(await revisionOf('busy'), 33)
  t.match((await get('/state/busy')).body, { entries: 2000, history: { writes: { count: 6030 } } })
  t.equal((await entryOf('busy', 'k0')).version, 4)
})
