import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import type { Db } from '../../src/database/connect.ts'
import type { TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** Starts an operation and answers what it came to. */
async function runToEnd(server: TestServer, kind: string) {
  const started = await server.post(`/maintenance/${kind}`)
  if (started.status !== 202) throw new Error(`${kind} was not taken: ${started.text}`)
  return ended(server, started)
}

async function ended(server: TestServer, started: TestAnswer) {
  for (;;) {
    const { body } = await server.get(started.headers.get('location') ?? '')
    if (body.state !== 'running') return body
    await sleep(5)
  }
}

async function keepExpired(db: Db, count: number): Promise<void> {
  await sql`
    insert into idempotency_keys (key, request_hash, status, headers, body, created_at)
    select gen_random_uuid(), '', 201, '{}', '', now() - interval '10 years'
    from generate_series(1, ${count})`.execute(db)
}

t.test('a vacuum is taken at once and goes through every SQL table', async (t) => {
  const server = await startTestServer(t)
  const started = await server.post('/maintenance/vacuum')
  t.match(started, {
    status: 202,
    body: { kind: 'vacuum', state: 'running', progress: { done: 0, total: 0 } },
  })
  const { operationId, createdAt } = started.body
  t.equal(started.headers.get('location'), `/maintenance/operations/${operationId}`)
  t.notOk('finishedAt' in started.body)
  const done = await ended(server, started)
  const { body: statistics } = await server.get('/maintenance/statistics')
  const total = statistics.tables.length
  t.match(done, { operationId, createdAt, state: 'succeeded', progress: { done: total, total } })
  t.ok(done.finishedAt >= createdAt)
  t.notOk('error' in done)
})

t.test('a vacuum leaves the limit on statements as it was', async (t) => {
  const server = await startTestServer(t)
  const { rows: before } = await sql`show statement_timeout`.execute(server.db)
  t.match(await runToEnd(server, 'vacuum'), { state: 'succeeded' })
  const after = await Promise.all(
    Array.from({ length: 4 }, () => sql`show statement_timeout`.execute(server.db)),
  )
  for (const { rows } of after) t.strictSame(rows, before)
})

t.test('retention removes what has expired, however much, and counts it', async (t) => {
  const server = await startTestServer(t)
  await keepExpired(server.db, 2500)
  const kept = { 'idempotency-key': 'kept' }
  await server.post('/tables', { name: 'x', schema: { type: 'struct', fields: [] } }, kept)
  t.match(await runToEnd(server, 'retention'), {
    state: 'succeeded',
    progress: { done: 2500, total: 2500 },
  })
  const left = await server.db.selectFrom('idempotency_keys').select('key').execute()
  t.strictSame(left, [{ key: 'kept' }])
  t.match(await runToEnd(server, 'retention'), { progress: { done: 0, total: 0 } })
})

t.test('a checkpoint is made', async (t) => {
  const server = await startTestServer(t)
  t.match(await runToEnd(server, 'checkpoint'), {
    kind: 'checkpoint',
    state: 'succeeded',
    progress: { done: 1, total: 1 },
  })
})

t.test('an archive finds nothing, for there are no state entries yet', async (t) => {
  const server = await startTestServer(t)
  const done = await runToEnd(server, 'archive')
  t.match(done, { kind: 'archive', state: 'succeeded' })
  t.strictSame(done.progress, { done: 0, total: 0 })
})

t.test('other work is unknown', async (t) => {
  const server = await startTestServer(t)
  const other = await server.post('/maintenance/reindex')
  t.match(other, { status: 400, body: { code: 'invalid-request' } })
  t.strictSame(await server.db.selectFrom('maintenance_operations').selectAll().execute(), [])
})

t.test('an operation that nobody started is not found', async (t) => {
  const server = await startTestServer(t)
  const unknown = await server.get('/maintenance/operations/0f8fad5b-d9cb-469f-a165-70867728950e')
  t.match(unknown, { status: 404, body: { code: 'operation-not-found' } })
  const odd = await server.get('/maintenance/operations/x')
  t.match(odd, { status: 400, body: { code: 'invalid-request' } })
})

t.test('a repeated request with one key starts one operation', async (t) => {
  const server = await startTestServer(t)
  const key = { 'idempotency-key': 'once' }
  const first = await server.post('/maintenance/retention', undefined, key)
  const again = await server.post('/maintenance/retention', undefined, key)
  t.match([first.status, again.status], [202, 202])
  t.equal(again.text, first.text)
  t.equal(again.headers.get('location'), first.headers.get('location'))
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  const other = await server.post('/maintenance/checkpoint', undefined, key)
  t.match(other, { status: 422, body: { code: 'idempotency-key-reused' } })
  t.match(await ended(server, first), { state: 'succeeded' })
  t.equal((await server.db.selectFrom('maintenance_operations').selectAll().execute()).length, 1)
})

t.test('statistics tell of each SQL table and index', async (t) => {
  const server = await startTestServer(t)
  await server.makeTable()
  await runToEnd(server, 'vacuum')
  const { status, body } = await server.get('/maintenance/statistics')
  t.equal(status, 200)
  const byName = new Map<string, Record<string, unknown>>(
    body.tables.map((table: { name: string }) => [table.name, table]),
  )
  t.match(byName.get('tables'), { rows: 1, deadRows: Number, lastVacuum: String })
  t.match(byName.get('tables')?.['lastAnalyze'], /^\d{4}-.*Z$/)
  t.ok(Number(byName.get('tables')?.['sizeInBytes']) > 0)
  t.ok(Number(byName.get('tables')?.['indexSizeInBytes']) > 0)
  const index = body.indexes.find(({ name }: { name: string }) => name === 'tables_pkey')
  t.match(index, { table: 'tables', scans: Number, sizeInBytes: Number })
  t.ok(index.sizeInBytes > 0)
})

t.test('a database that nobody follows is a primary without replicas', async (t) => {
  const server = await startTestServer(t)
  const { status, body } = await server.get('/replication')
  t.equal(status, 200)
  t.strictSame(body, { role: 'primary', replicas: [], readReplicas: [] })
})
