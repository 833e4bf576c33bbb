import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { readLog } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const missing = '00000000-0000-4000-8000-000000000000'

t.test('a mirror that is paused publishes nothing until it is resumed', async (t) => {
  const server = await startTestServer(t)
  const other = await startTestServer(t, {}, { beside: server })
  const [paused, sound] = [await server.makeTable(), await server.makeTable()]
  await server.published(paused)
  const answer = await server.post(`/tables/${paused}/mirror/pause`)
  t.match(answer, { status: 200, body: { state: 'paused', publishedVersion: 0, pending: 0 } })
  t.ok(Date.parse(answer.body.pausedAt) > 0, answer.body.pausedAt)
  t.ok(answer.headers.get('consistency-token'), 'it is a write')
  const again = await other.post(`/tables/${paused}/mirror/pause`)
  t.equal(again.body.pausedAt, answer.body.pausedAt, 'the first time stands')
  for (const table of [paused, sound]) await server.commit(table, { actions: [add('a')] })
  await server.published(sound)
  await other.post(`/tables/${paused}/mirror/retry`)
  await looked(server)
  t.match(await other.get(`/tables/${paused}/mirror`), {
    body: { state: 'paused', publishedVersion: 0, pending: 1 },
  })
  t.match(await server.get(`/tables/${paused}`), { body: { mirror: { state: 'paused' } } })
  t.strictSame([...(await readLog(logOf(server, paused))).keys()], [commitFileName(0)])
  const resumed = await other.post(`/tables/${paused}/mirror/resume`)
  t.match(resumed, { status: 200, body: { state: 'behind', pending: 1 } })
  t.notOk('pausedAt' in resumed.body)
  await server.published(paused)
  t.match(await server.post(`/tables/${paused}/mirror/resume`), { body: { state: 'current' } })
})

t.test('a pause waits for the publisher that is at work, and outlives the servers', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const table = await server.makeTable()
  for (let commit = 0; commit < 200; commit += 1) {
    await server.commit(table, { actions: [add(`f${commit}`)] })
  }
  const { db, storage } = server
  const publish = publishTables(db, { tableIds: [table], storage, sweep: true })
  const pause = await server.post(`/tables/${table}/mirror/pause`)
  const files = await readLog(logOf(server, table))
  t.equal(pause.body.publishedVersion + 1, files.size, 'what it tells is all there is')
  await publish
  t.equal((await readLog(logOf(server, table))).size, files.size)
  const next = await startTestServer(t, {}, { beside: server })
  await looked(next)
  t.equal((await readLog(logOf(server, table))).size, files.size)
})

t.test('changes of a mirror apply once for a key, by name or id', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const table = await server.makeTable({ name: 'sales.orders' })
  for (const change of ['pause', 'resume', 'retry']) {
    const key = { 'idempotency-key': change }
    const first = await server.post(`/tables/${table}/mirror/${change}`, undefined, key)
    t.equal(first.status, 200, change)
    await server.post(`/tables/${table}/mirror/${change === 'pause' ? 'resume' : 'pause'}`)
    const second = await server.post(`/tables/${table}/mirror/${change}`, undefined, key)
    t.equal(second.headers.get('idempotency-replayed'), 'true')
    t.strictSame(second.body, first.body)
    t.match(await server.post(`/tables/sales.orders/mirror/${change}`, undefined, key), {
      status: 422,
      body: { code: 'idempotency-key-reused' },
    })
    t.match(await server.post(`/tables/sales.orders/mirror/${change}`), { status: 200 })
    t.match(await server.post(`/tables/${missing}/mirror/${change}`), {
      status: 404,
      body: { code: 'table-not-found' },
    })
  }
  t.match(await server.post(`/tables/${table}/mirror/retry?policy=overwrite`), {
    status: 400,
    body: { code: 'invalid-request', errors: [{ pointer: '/query/policy' }] },
  })
})

t.test('a retry comes at once and forgets what failed', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  await server.published(table)
  const log = logOf(server, table)
  await rename(log, `${log}-aside`)
  await writeFile(log, 'a file in the place of the folder')
  await server.commit(table, { actions: [add('a')] })
  const failed = await seeState(server, table, 'failed')
  t.match(failed, { publishedVersion: 0, pending: 1, lastError: /is not a folder/ })
  t.ok(Date.parse(failed.nextRetryAt) > Date.now() + 200_000, 'the next attempt is far away')
  await rm(log)
  await rename(`${log}-aside`, log)
  await looked(server)
  t.match(await server.get(`/tables/${table}/mirror`), { body: { state: 'failed' } })
  const retried = await server.post(`/tables/${table}/mirror/retry`)
  t.match(retried, { status: 200, body: { pending: 1 } })
  t.notOk('lastError' in retried.body)
  await server.published(table)
})

t.test('all mirrors are listed, by state, in pages and as lines', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const tables = []
  for (let number = 0; number < 7; number += 1) tables.push(await server.makeTable())
  tables.sort()
  const [current, paused, forked, dropped] = tables as [string, string, string, string]
  const { db, storage } = server
  await publishTables(db, { tableIds: [current], storage, sweep: true })
  await server.post(`/tables/${paused}/mirror/pause`)
  await mkdir(logOf(server, forked), { recursive: true })
  await writeFile(join(logOf(server, forked), commitFileName(0)), 'foreign\n')
  await publishTables(db, { tableIds: [forked], storage, sweep: true })
  await server.call('DELETE', `/tables/${dropped}`)
  const states = ['current', 'paused', 'forked', ...Array(4).fill('behind')]
  const all = await server.get('/mirror')
  t.match(all, { status: 200, body: { items: tables.map((tableId) => ({ tableId })) } })
  t.strictSame(
    all.body.items.map(({ state }: { state: string }) => state),
    states,
  )
  t.notOk('nextCursor' in all.body)
  t.ok(Date.parse(all.body.items[3].droppedAt) > 0)
  t.match(all.body.items[2], {
    name: String,
    version: 0,
    publishedVersion: -1,
    fork: { version: 0, theirs: { sizeInBytes: 8, lastVersion: 0 } },
  })
  const pages = []
  let cursor = ''
  do {
    const { body } = await server.get(`/mirror?limit=3${cursor && `&cursor=${cursor}`}`)
    pages.push(body.items.map(({ tableId }: { tableId: string }) => tableId))
    cursor = body.nextCursor
  } while (cursor)
  t.strictSame(pages, [tables.slice(0, 3), tables.slice(3, 6), tables.slice(6)])
  for (const [state, found] of Object.entries(Object.groupBy(tables, (_, at) => states[at]))) {
    const { text } = await server.get(`/mirror?state=${state}`, { accept: 'application/x-ndjson' })
    const lines = text.trim().split('\n')
    t.strictSame(
      lines.map((line) => JSON.parse(line).tableId),
      found,
      state,
    )
  }
  t.strictSame((await server.get('/mirror?state=failed')).body, { items: [] })
  const { body } = await server.get('/mirror?state=behind&limit=1')
  t.match(await server.get(`/mirror?cursor=${body.nextCursor}`), {
    status: 400,
    body: { code: 'invalid-cursor' },
  })
  t.match(await server.get('/mirror?state=lost'), { status: 400 })
})

function logOf(server: TestServer, table: string): string {
  return join(server.dataDir, 'tables', table, '_delta_log')
}

/** Waits until a table has gone through the whole of a mirror after this call. */
async function looked(server: TestServer): Promise<void> {
  const table = await server.makeTable()
  await server.published(table)
  await server.commit(table, { actions: [add('z')] })
  await server.published(table)
}

async function seeState(server: TestServer, table: string, state: string) {
  for (;;) {
    const { body } = await server.get(`/tables/${table}/mirror`)
    if (body.state === state) return body
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
