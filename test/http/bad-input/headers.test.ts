import t from 'tap'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { sendRaw } from './connection.ts'
import { checkProblem, checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t)
const table = await server.makeTable()
await server.published(table)
const commits = `/tables/${table}/commits`

const withKey = (key: string) =>
  server.commit(table, { actions: [add('a')] }, { 'idempotency-key': key })

const keys: Refusal[] = [
  '"',
  '""',
  '"a',
  'a"',
  '"a"b"',
  'a,b',
  '"a", "b"',
  '"a\\c"',
  'ü',
  'a\tb',
  'a'.repeat(256),
  `"${'a'.repeat(256)}"`,
].map((key) => ({
  what: `the Idempotency-Key ${key.slice(0, 20)}`,
  path: commits,
  json: { actions: [add('a')] },
  headers: { 'idempotency-key': key },
  code: 'invalid-idempotency-key',
  tells: { detail: /1 to 255 printable ASCII/ },
}))

const keyLengths: Refusal[] = ['', ' ', 'a'.repeat(513)].map((key) => ({
  what: `an Idempotency-Key of ${key.trim().length} characters`,
  path: commits,
  json: { actions: [add('a')] },
  headers: { 'idempotency-key': key },
  code: 'invalid-request',
  tells: { errors: [{ pointer: '/headers/idempotency-key' }] },
}))

t.test('keys', (t) => checkRefusals(t, server, [...keys, ...keyLengths]))

t.test('a key is the same bare and quoted, and can have quotes within', async (t) => {
  const bare = await withKey('run 7')
  t.equal(bare.status, 201)
  const quoted = await withKey('"run 7"')
  t.equal(quoted.headers.get('idempotency-replayed'), 'true')
  t.strictSame(quoted.body, bare.body)
  for (const key of [
    'a'.repeat(255),
    `"${'b'.repeat(255)}"`,
    '"a\\"b\\\\c"',
    "';drop table tables",
  ]) {
    t.equal((await withKey(key)).status, 201, key)
  }
})

t.test('two keys are one too many', async (t) => {
  const body = JSON.stringify({ actions: [add('a')] })
  const answer = await sendRaw(
    server.address,
    `POST ${commits} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  t.match(answer, { status: 400, body: { code: 'invalid-idempotency-key' } })
})

t.test('a request id is taken over, or made where it cannot be', async (t) => {
  const made = /^[0-9a-f]{8}-[0-9a-f-]{27}$/
  const taken = ['mine-7', 'a'.repeat(200), '0123~!@#']
  for (const id of taken) {
    const { headers } = await server.get('/health/live', { 'x-request-id': id })
    t.equal(headers.get('x-request-id'), id)
  }
  for (const id of ['', 'two words', 'ünique', 'a'.repeat(201), 'a'.repeat(10_000), '\t']) {
    const { headers } = await server.get('/health/live', { 'x-request-id': id })
    t.match(headers.get('x-request-id'), made, id.slice(0, 20))
  }
  const twice = await sendRaw(
    server.address,
    'GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\r\nX-Request-Id: b\r\n\r\n',
  )
  t.match(twice?.headers.get('x-request-id'), made)
})

t.test('a request id cannot bring a header of its own into the answer', async (t) => {
  for (const id of ['a\r\n b', 'a\nInjected: yes', 'a\rInjected: yes', 'a\0b']) {
    const answer = await sendRaw(
      server.address,
      `GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n\r\n`,
    )
    t.notOk(answer?.headers.has('injected'))
    t.match(answer?.headers.get('x-request-id'), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
  }
})

t.test('a refusal and the log tell of the request by its id', async (t) => {
  const answer = await server.get('/tables/nope', { 'x-request-id': 'find-me' })
  checkProblem(t, answer, 'table-not-found')
  t.equal(answer.body.instance, 'find-me')
  await t.resolves(
    (async () => {
      while (!server.logged.some(({ reqId }) => reqId === 'find-me'))
        await server.get('/health/live')
    })(),
  )
})

t.test('an address that cannot be read has its request id too', async (t) => {
  const answer = await server.get('/tables/%FF', { 'x-request-id': 'bad-address' })
  checkProblem(t, answer, 'invalid-request')
  t.equal(answer.body.instance, 'bad-address')
})

t.test('HTTP/1.1 without a Host is told so, HTTP/1.0 needs none', async (t) => {
  const without = await sendRaw(server.address, 'GET /health/live HTTP/1.1\r\n\r\n')
  t.match(without, {
    status: 400,
    body: { code: 'invalid-request', errors: [{ pointer: '/headers/host' }] },
  })
  const older = await sendRaw(server.address, 'GET /health/live HTTP/1.0\r\n\r\n')
  t.equal(older?.status, 200)
})

t.test('expectations that nobody knows are passed over', async (t) => {
  const answer = await sendRaw(
    server.address,
    'GET /health/live HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n',
  )
  t.equal(answer?.status, 200)
})
