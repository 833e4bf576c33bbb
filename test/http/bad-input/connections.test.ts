import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { ProblemCode } from '../../../src/problems.ts'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { openConnection, sendRaw } from './connection.ts'
import { checkProblem, takeStock } from './refusals.ts'

const server = await startTestServer(t, { requestMsMax: 500 })
const table = await server.makeTable()
await server.published(table)

const { address } = server
const commits = `/tables/${table}/commits`
const body = JSON.stringify({ actions: [add('a')] })
const host = 'Host: x\r\n'
const json = 'Content-Type: application/json\r\n'

/** The head of a commit whose body is said to be this long. */
const commitHead = (length: number) =>
  `POST ${commits} HTTP/1.1\r\n${host}${json}Content-Length: ${length}\r\n\r\n`

/** Runs a test that must leave everything as it was. */
function changesNothing(name: string, test: (t: Test) => Promise<void>) {
  return t.test(name, async (t) => {
    const before = await takeStock(server)
    await test(t)
    t.equal((await server.get('/health/live')).status, 200)
    t.strictSame(await takeStock(server), before, 'nothing has changed')
  })
}

const broken: Record<string, { bytes: string | Buffer; code: ProblemCode }> = {
  'a request line that is none': { bytes: 'HELLO\r\n\r\n', code: 'invalid-request' },
  'an unknown version of HTTP': {
    bytes: `GET / HTTP/9.9\r\n${host}\r\n`,
    code: 'invalid-request',
  },
  'another protocol': { bytes: Buffer.from('160301020001000100', 'hex'), code: 'invalid-request' },
  'a NUL in the path': { bytes: `GET /tables/\0 HTTP/1.1\r\n${host}\r\n`, code: 'invalid-request' },
  'a space in the path': {
    bytes: `GET /tables/a b HTTP/1.1\r\n${host}\r\n`,
    code: 'invalid-request',
  },
  'a path with ".." for a name': {
    bytes: `GET /tables/../mirror HTTP/1.1\r\n${host}\r\n`,
    code: 'invalid-request',
  },
  'a header without a colon': {
    bytes: `GET / HTTP/1.1\r\n${host}Nonsense\r\n\r\n`,
    code: 'invalid-request',
  },
  'two lengths': {
    bytes: `POST /tables HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    code: 'invalid-request',
  },
  'a length and chunks': {
    bytes: `POST /tables HTTP/1.1\r\n${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    code: 'invalid-request',
  },
  'a negative length': {
    bytes: `POST /tables HTTP/1.1\r\n${host}Content-Length: -2\r\n\r\n`,
    code: 'invalid-request',
  },
  'a chunk without a length': {
    bytes: `POST ${commits} HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n\r\nZZ\r\n${body}`,
    code: 'invalid-request',
  },
  'a header of 20 kB': {
    bytes: `GET / HTTP/1.1\r\n${host}X-Long: ${'a'.repeat(20_000)}\r\n\r\n`,
    code: 'header-too-large',
  },
  'thousands of headers': {
    bytes: `GET / HTTP/1.1\r\n${host}${'X-Many: a\r\n'.repeat(2500)}\r\n`,
    code: 'header-too-large',
  },
  'an address of 20 kB': {
    bytes: `GET /tables?cursor=${'a'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n`,
    code: 'header-too-large',
  },
}

for (const [what, { bytes, code }] of Object.entries(broken)) {
  void changesNothing(what, async (t) => {
    const answer = await sendRaw(address, bytes)
    t.ok(answer)
    if (answer !== undefined) checkProblem(t, answer, code)
  })
}

void changesNothing('a connection that closes in the middle of a body', async (t) => {
  const sent = [
    commitHead(body.length + 1) + body,
    commitHead(body.length) + body.slice(0, -1),
    `POST ${commits} HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`,
    `POST /tables HTTP/1.1\r\n${host}${json}Content-Length: 100\r\n\r\n{"name":`,
  ]
  for (const bytes of sent) {
    const connection = await openConnection(address)
    await connection.send(bytes)
    connection.socket.end()
    t.match(await connection.answer(), { status: 400, body: { detail: /in the middle/ } })
    const reset = await openConnection(address)
    await reset.send(bytes)
    reset.socket.resetAndDestroy()
    await once(reset.socket, 'close')
  }
})

void changesNothing('a body that comes too slowly', async (t) => {
  const connection = await openConnection(address)
  await connection.send(commitHead(body.length) + body.slice(0, 20))
  const answer = await connection.answer()
  t.ok(answer)
  if (answer !== undefined) checkProblem(t, answer, 'request-timeout')
  t.equal(await connection.answer(), undefined, 'and the connection is closed')
})

void changesNothing('a head that comes too slowly', async (t) => {
  const connection = await openConnection(address)
  await connection.send(`GET /tables HTTP/1.1\r\n${host}X-Slow: `)
  const answer = await connection.answer()
  t.match(answer, { status: 408, body: { code: 'request-timeout' } })
})

void t.test('garbage behind a request is not taken for its answer', async (t) => {
  const connection = await openConnection(address)
  await connection.send(`${commitHead(body.length)}${body}GARBAGE\r\n\r\n`)
  t.match(await connection.answer(), { status: 201, body: { version: 1 } })
  t.match(await connection.answer(), { status: 400, body: { code: 'invalid-request' } })
  t.equal(await connection.answer(), undefined)
})

void t.test('requests in one piece are answered in order, each by itself', async (t) => {
  const connection = await openConnection(address)
  const bad = '{"actions":'
  await connection.send(
    [
      `${commitHead(body.length)}${body}`,
      `${commitHead(bad.length)}${bad}`,
      `GET /tables/nope HTTP/1.1\r\n${host}\r\n`,
      `GET /tables/%FF HTTP/1.1\r\n${host}\r\n`,
      `GET /health/live HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
    ].join(''),
  )
  const answers = [1, 2, 3, 4, 5].map(() => connection.answer())
  const statuses = (await Promise.all(answers)).map((answer) => answer?.status)
  t.strictSame(statuses, [201, 400, 404, 400, 200])
})

t.test('the log holds no failure', async (t) => {
  t.strictSame(
    server.logged.filter(({ level }) => Number(level) >= 40),
    [],
  )
})
