import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db } = server
const { write } = createStateWriter(server)

async function runToEnd(kind: string) {
  const started = await server.post(`/maintenance/${kind}`)
  for (;;) {
    const { body } = await server.get(started.headers.get('location') ?? '')
    if (body.state !== 'running') return body
    await sleep(5)
  }
}

const set = (namespace: string, retention: object) =>
  server.call('PUT', `/state/${namespace}`, { json: { retention } })
const historyOf = async (namespace: string) =>
  (await server.get(`/state/${namespace}`)).body.history

/** Writes 1,500 keys three times. */
async function fill(namespace: string): Promise<void> {
  const all = Array.from({ length: 1500 }, (_, index) => put(`k${index}`, index))
  for (let times = 0; times < 3; times++) await write(namespace, all)
}

t.test('retention and archive are done as maintenance, with progress', async (t) => {
  await fill('dropped')
  await set('dropped', { maxRevisions: 0 })
  await fill('archived')
  await write('archived', [remove('k0')])
  await write('archived', [put('other', 1)])
  await set('archived', { maxRevisions: 0, archive: true })
  await fill('kept')
  const archived = await runToEnd('archive')
  t.match(archived, { state: 'succeeded', progress: { done: 4502, total: 4502 } })
  t.strictSame(await historyOf('archived'), {
    oldestRevision: 5,
    archivedFrom: 1,
    writes: { count: 1500, isExact: true },
  })
  const { rows } = await sql<{ count: number }>`select count(*) from state_archive`.execute(db)
  t.equal(rows[0]?.count, 3002, 'with the deletion')
  t.match(await historyOf('dropped'), { oldestRevision: 1, writes: { count: 4500 } })
  const dropped = await runToEnd('retention')
  t.match(dropped, { state: 'succeeded', progress: { done: 4500, total: 4500 } })
  t.strictSame(await historyOf('dropped'), {
    oldestRevision: 3,
    writes: { count: 1500, isExact: true },
  })
  t.match(await historyOf('kept'), { oldestRevision: 1, writes: { count: 4500 } })
  t.match(await runToEnd('retention'), { progress: { done: 0, total: 0 } })
})
