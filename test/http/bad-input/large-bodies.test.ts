import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { createTestDatabase } from '../../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../../support/process.ts'
import { openConnection } from './connection.ts'
import { checkProblem } from './refusals.ts'

const database = await createTestDatabase()
t.teardown(() => database.drop())
const dataDir = await makeDataDir(t)
const server = await startServerProcess(t, { DATABASE_URL: database.url, DATA_DIR: dataDir })
const table = await server.makeTable()

const megabyte = 1024 * 1024
const maxBytes = 64 * megabyte
const head = `POST /tables/${table}/commits HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`

/** Resident memory of the server in bytes. */
async function memory(): Promise<number> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(server.pid)])
  return Number(stdout) * 1024
}

/** Sends 200 MB, as fast as they are taken, and answers how far the server's memory rose meanwhile. */
async function pour(send: (bytes: string) => Promise<void>, piece: string): Promise<number> {
  const before = await memory()
  let most = before
  for (let sent = 0; sent < 200; sent += 1) {
    await send(piece)
    if (sent % 20 === 0) most = Math.max(most, await memory())
  }
  return Math.max(most, await memory()) - before
}

const zeros = '0'.repeat(megabyte)

t.test('200 MB that say so are refused unread, and the connection goes on', async (t) => {
  const connection = await openConnection(server.address)
  await connection.send(`${head}Content-Length: ${200 * megabyte}\r\n\r\n`)
  const answer = await connection.answer()
  t.ok(answer)
  if (answer !== undefined) checkProblem(t, answer, 'body-too-large')
  t.equal(answer?.body.maxBytes, maxBytes)
  const rise = await pour(connection.send, zeros)
  t.ok(rise < 150 * megabyte, `memory rose by ${rise} bytes`)
  await connection.send('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer())?.status, 200)
  connection.socket.destroy()
})

t.test('200 MB that come unannounced are refused once they are too many', async (t) => {
  const connection = await openConnection(server.address)
  await connection.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
  const piece = `${megabyte.toString(16)}\r\n${zeros}\r\n`
  const rise = await pour(connection.send, piece)
  t.ok(rise < 150 * megabyte, `memory rose by ${rise} bytes`)
  await connection.send('0\r\n\r\n')
  const answer = await connection.answer()
  t.ok(answer)
  if (answer !== undefined) checkProblem(t, answer, 'body-too-large')
  t.equal(answer?.body.maxBytes, maxBytes)
  await connection.send('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')
  t.equal((await connection.answer())?.status, 200)
  connection.socket.destroy()
})

t.test('an ordinary client reads the refusal, and nothing was committed', async (t) => {
  const answer = await server.call('POST', `/tables/${table}/commits`, {
    raw: Buffer.alloc(100 * megabyte, '0'),
    headers: { 'content-type': 'application/json' },
  })
  checkProblem(t, answer, 'body-too-large')
  t.equal((await server.get(`/tables/${table}`)).body.version, 0)
})
