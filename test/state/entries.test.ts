import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { stateValueBytesMax: 1000 }, { mirror: false })
const { call, get } = server

const entry = (key: string, namespace = 'app') =>
  `/state/${encodeURIComponent(namespace)}/entries/${encodeURIComponent(key)}`
const put = (key: string, json: object, headers: Record<string, string> = {}) =>
  call('PUT', entry(key), { json, headers })

t.test('an entry is written, read, written anew and deleted', async (t) => {
  const made = await put('life', { value: { offset: 1 }, metadata: { topic: 'orders' } })
  t.equal(made.status, 201)
  t.match(made.body, { namespace: 'app', key: 'life', version: 1 })
  t.equal(made.headers.get('etag'), '"1"')
  t.equal(made.headers.get('location'), entry('life'))
  t.match(made.headers.get('consistency-token'), /^[0-9A-F]+\/[0-9A-F]+$/)
  const found = await get(entry('life'))
  t.equal(found.status, 200)
  t.match(found.body, { value: { offset: 1 }, metadata: { topic: 'orders' }, version: 1 })
  t.equal(found.body.revision, made.body.revision)
  const again = await put('life', { value: 2 })
  t.equal(again.status, 200)
  t.match(again.body, { version: 2, revision: made.body.revision + 1 })
  t.equal(again.body.createdAt, made.body.createdAt)
  const deleted = await call('DELETE', entry('life'))
  t.equal(deleted.status, 200)
  t.match(deleted.body, { key: 'life', version: 3, revision: made.body.revision + 2 })
  t.match((await get(entry('life'))).body, { status: 404, code: 'entry-not-found' })
  t.match((await call('DELETE', entry('life'))).body, { code: 'entry-not-found' })
  const reborn = await put('life', { value: 3 })
  t.equal(reborn.status, 201)
  t.equal(reborn.body.version, 4, 'the version goes on')
})

t.test('a value keeps every token, and bytes keep their type', async (t) => {
  const raw = '{"value": {"big": 12345678901234567890, "same":1.0,"e":1e2}}'
  await call('PUT', entry('exact'), { raw, headers: { 'content-type': 'application/json' } })
  const json = '{"big":12345678901234567890,"same":1.0,"e":1e2}'
  t.ok((await get(entry('exact'))).text.includes(`"value":${json}`))
  t.equal((await get(`${entry('exact')}?raw=true`)).text, json)
  const bytes = new Uint8Array([0, 1, 2, 255])
  const made = await call('PUT', `${entry('bytes')}?metadata={"a":1}&ttlMs=60000`, {
    raw: bytes,
    headers: { 'content-type': 'application/vnd.apache.avro' },
  })
  t.equal(made.status, 201)
  t.ok(made.body.expiresAt)
  const { body } = await get(entry('bytes'))
  t.match(body, { valueBase64: 'AAEC/w==', contentType: 'application/vnd.apache.avro' })
  t.strictSame(body.metadata, { a: 1 })
  const whole = await fetch(`${server.address}${entry('bytes')}?raw=true`)
  t.equal(whole.headers.get('content-type'), 'application/vnd.apache.avro')
  t.strictSame(new Uint8Array(await whole.arrayBuffer()), bytes)
})

t.test('preconditions', async (t) => {
  const absent = { 'if-none-match': '*' }
  t.equal((await put('cond', { value: 1 }, absent)).status, 201)
  t.match((await put('cond', { value: 1 }, absent)).body, {
    status: 412,
    code: 'version-mismatch',
    expected: 0,
    actual: 1,
  })
  t.match((await put('cond', { value: 1, expectedVersion: 0 })).body, { expected: 0, actual: 1 })
  t.equal((await put('cond', { value: 2, expectedVersion: 1 })).status, 200)
  t.match((await put('cond', { value: 3, expectedVersion: 1 })).body, { expected: 1, actual: 2 })
  t.equal((await put('cond', { value: 3 }, { 'if-match': '"7", "2"' })).status, 200)
  t.match((await put('cond', { value: 3 }, { 'if-match': 'W/"3"' })).status, 412)
  t.equal((await put('cond', { value: 4 }, { 'if-match': '*' })).status, 200)
  t.match((await put('none', { value: 4 }, { 'if-match': '*' })).body, { expected: '*', actual: 0 })
  t.equal((await put('none', { value: 4 }, { 'if-match': '"0"' })).status, 412)
  const both = await put('cond', { value: 1, expectedVersion: 4 }, { 'if-match': '"4"' })
  t.equal(both.body.code, 'invalid-request')
  t.equal((await call('DELETE', `${entry('cond')}?expectedVersion=3`)).status, 412)
  const known = await get(entry('cond'), { 'if-none-match': '"3", "4"' })
  t.equal(known.status, 304)
  t.equal(known.text, '')
  t.equal((await get(entry('cond'), { 'if-none-match': '"3"' })).status, 200)
  t.equal((await call('DELETE', entry('cond'), { headers: { 'if-match': '"4"' } })).status, 200)
})

t.test('an entry whose time is over is gone for every reader', async (t) => {
  const { body } = await put('short', { value: 1, ttlMs: 100 })
  t.equal(Date.parse(body.expiresAt) - Date.parse(body.updatedAt), 100)
  await sleep(150)
  t.equal((await get(entry('short'))).status, 404)
  t.strictSame((await get('/state/app/entries?prefix=short')).body.items, [])
  const anew = await put('short', { value: 2 }, { 'if-none-match': '*' })
  t.equal(anew.status, 201)
  t.equal(anew.body.version, 2)
  t.notOk(anew.body.expiresAt)
})

t.test('what is sent twice with its key is done once', async (t) => {
  const once = { 'idempotency-key': 'state-once' }
  const first = await put('once', { value: 1 }, once)
  const second = await put('once', { value: 1 }, once)
  t.equal(second.text, first.text)
  t.equal(second.headers.get('idempotency-replayed'), 'true')
  t.equal((await put('once', { value: 2 }, once)).body.code, 'idempotency-key-reused')
  const bytes = (text: string) =>
    call('PUT', entry('raw-once'), {
      raw: text,
      headers: { 'content-type': 'text/plain', 'idempotency-key': 'raw-once' },
    })
  t.equal((await bytes('one')).status, 201)
  t.equal((await bytes('two')).body.code, 'idempotency-key-reused')
})

t.test('entries are listed by key', async (t) => {
  const keys = ['a', 'a/b', 'a/c', 'a/ü', 'a0', 'b', '\u{10ffff}x', '\u{1f600}']
  for (const key of keys) await call('PUT', entry(key, 'list'), { json: { value: key } })
  const listed = async (query: string) =>
    (await get(`/state/list/entries${query}`)).body.items.map(({ key }: { key: string }) => key)
  const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  t.strictSame(await listed(''), sorted)
  t.strictSame(await listed('?prefix=a/'), ['a/b', 'a/c', 'a/ü'])
  t.strictSame(await listed(`?prefix=${encodeURIComponent('\u{10ffff}')}`), ['\u{10ffff}x'])
  t.strictSame(await listed('?start=a/c&end=b'), ['a/c', 'a/ü', 'a0'])
  const first = (await get('/state/list/entries?limit=3')).body
  const rest = (await get(`/state/list/entries?limit=1000&cursor=${first.nextCursor}`)).body
  const together = [...first.items, ...rest.items].map(({ key }: { key: string }) => key)
  t.strictSame(together, sorted)
  const lines = await get('/state/list/entries?keysOnly=true', { accept: 'application/x-ndjson' })
  const parsed = lines.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.strictSame(
    parsed.map(({ key }) => key),
    sorted,
  )
  t.notOk('value' in parsed[0])
  t.strictSame(await listed('?prefix=zzz'), [])
  t.strictSame((await get('/state/nobody/entries')).body.items, [])
})

t.test('bad input is refused with its place, and changes nothing', async (t) => {
  const cases: [number, string, Parameters<typeof call>][] = [
    [400, "'value'", ['PUT', entry('bad'), { json: {} }]],
    [400, '/ttlMs', ['PUT', entry('bad'), { json: { value: 1, ttlMs: 0 } }]],
    [400, 'other', ['PUT', entry('bad'), { json: { value: 1, other: 1 } }]],
    [400, '/metadata', ['PUT', entry('bad'), { json: { value: 1, metadata: { a: '\0' } } }]],
    [400, '/metadata', ['PUT', entry('bad'), { json: { value: 1, metadata: [] } }]],
    [400, '/query/ttlMs', ['PUT', `${entry('bad')}?ttlMs=5`, { json: { value: 1 } }]],
    [400, '/params/key', ['PUT', entry('a\0b'), { json: { value: 1 } }]],
    [400, '/params/key', ['PUT', entry('k'.repeat(513)), { json: { value: 1 } }]],
    [413, 'maxBytes', ['PUT', entry('bad'), { json: { value: 'v'.repeat(1001) } }]],
    [415, 'Content-Type', ['PUT', entry('bad'), { raw: new Uint8Array([1]) }]],
  ]
  for (const [status, told, asked] of cases) {
    const answer = await call(...asked)
    t.equal(answer.status, status, answer.text)
    t.ok(answer.text.includes(told), `${told} in ${answer.text}`)
  }
  t.equal((await get(entry('bad'))).status, 404)
})

t.test('entries are read as they were at a revision', async (t) => {
  const at = async (path: string) => get(`/state/past/entries${path}`)
  const write = async (key: string, value: number) =>
    (await call('PUT', entry(key, 'past'), { json: { value } })).body.revision
  const first = await write('a', 1)
  await write('b', 1)
  const second = await write('a', 2)
  await call('DELETE', entry('b', 'past'))
  t.equal((await at(`/a?revision=${first}`)).body.value, 1)
  t.equal((await at(`/a?revision=${second}`)).body.value, 2)
  t.equal((await at(`/b?revision=${second}`)).body.value, 1)
  t.equal((await at(`/b?revision=${first}`)).status, 404)
  const keys = (await at(`?revision=${second}`)).body.items.map(
    ({ key, value }: { key: string; value: number }) => `${key}=${value}`,
  )
  t.strictSame(keys, ['a=2', 'b=1'])
  t.match((await at('/a?revision=99')).body, { code: 'revision-not-found', currentRevision: 4 })
  t.match((await get('/state/never/entries?revision=1')).body, { code: 'revision-not-found' })
})

t.test('keys of any length and any characters can be paged', async (t) => {
  const keys = ['\u{1}'.repeat(512), 'a'.repeat(512), '\u{10ffff}'.repeat(256)]
  for (const key of keys) await call('PUT', entry(key, 'long'), { json: { value: 1 } })
  const prefix = encodeURIComponent('\u{1}'.repeat(100))
  t.equal((await get(`/state/long/entries?prefix=${prefix}`)).body.items.length, 1)
  const found: string[] = []
  let cursor = ''
  do {
    const { body } = await get(`/state/long/entries?limit=1${cursor && `&cursor=${cursor}`}`)
    found.push(...body.items.map(({ key }: { key: string }) => key))
    cursor = body.nextCursor ?? ''
  } while (cursor !== '')
  t.strictSame(found, keys)
})

t.test('a namespace that another primary never got is told of, and made anew', async (t) => {
  const other = await startTestServer(t, {}, { beside: server, mirror: false })
  await call('PUT', entry('k', 'lost'), { json: { value: 1 } })
  await sql`delete from state_namespaces where namespace = 'lost'`.execute(server.db)
  const answer = await call('PUT', entry('k', 'lost'), { json: { value: 2 } })
  t.match(answer.body, { status: 503, code: 'database-unavailable' })
  t.equal((await other.call('PUT', entry('k', 'lost'), { json: { value: 2 } })).status, 201)
})
