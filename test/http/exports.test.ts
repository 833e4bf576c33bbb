import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { exportStallMsMax: 500 })
const { hostname, port } = new URL(server.address)

/** A table with far more in its list of files than the buffers between the database and a client hold. */
const id = await server.makeTable()
await sql`
  insert into files (table_id, added_version, added_position, path, size, add)
  select ${id}::uuid, 0, 10 + n, 'f' || n, 1,
    ('{"add":{"path":"f' || n || '","tags":{"t":"' || repeat('x', 1000) || '"}}}')::json
  from generate_series(1, 60000) n`.execute(server.db)

/** Asks for all files and reads nothing beyond the first bytes. */
async function beginExport(): Promise<Socket> {
  const socket = connect(Number(port), hostname)
  socket.write(
    `GET /tables/${id}/files HTTP/1.1\r\nHost: test\r\nAccept: application/x-ndjson\r\n\r\n`,
  )
  const [head] = await once(socket, 'data')
  socket.pause()
  t.match(String(head), /^HTTP\/1\.1 200/)
  return socket
}

/** Statements of exports that PostgreSQL has under way. */
async function countExports(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::integer as count from pg_stat_activity
    where datname = current_database() and state = 'active' and query like 'copy%'`.execute(
    server.db,
  )
  return rows[0]?.count ?? 0
}

async function exportsEnd(t: Test): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if ((await countExports()) === 0) return
    await pause(50)
  }
  t.fail('the statement goes on')
}

/** Reads on to the end of the connection. */
async function readRest(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (some) => {
    text += some
  })
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'close')
  return text
}

/** The last chunk of a body that came whole. */
const wholeEnd = /\r\n0\r\n\r\n$/

t.test('an export comes whole', async (t) => {
  const { text } = await server.get(`/tables/${id}/files`, { accept: 'application/x-ndjson' })
  const lines = text.split('\n')
  t.equal(lines.length, 60_001)
  t.match(JSON.parse(lines[59_999] ?? ''), { add: { path: 'f60000' } })
})

t.test('a client who takes nothing is cut off, and what it held is free', async (t) => {
  const socket = await beginExport()
  t.equal(await countExports(), 1)
  await exportsEnd(t)
  t.notMatch(await readRest(socket), wholeEnd)
})

t.test('a client who goes away frees what it held', async (t) => {
  const sockets = await Promise.all([beginExport(), beginExport(), beginExport(), beginExport()])
  for (const socket of sockets) socket.destroy()
  await exportsEnd(t)
  const { status } = await server.get(`/tables/${id}/files`, { accept: 'application/x-ndjson' })
  t.equal(status, 200)
})

t.test('an export that fails on the way does not look whole', async (t) => {
  const socket = await beginExport()
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and state = 'active' and query like 'copy%'`.execute(
    server.db,
  )
  t.notMatch(await readRest(socket), wholeEnd)
  t.equal((await server.get('/health/live')).status, 200)
})
