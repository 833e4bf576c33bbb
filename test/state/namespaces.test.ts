import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { call, get, db } = server
const { write } = createStateWriter(server)

const set = (namespace: string, json: object, headers: Record<string, string> = {}) =>
  call('PUT', `/state/${namespace}`, { json, headers })

t.test('a namespace is told of with what it holds', async (t) => {
  t.match((await get('/state/counted')).body, { status: 404, code: 'namespace-not-found' })
  await write('counted', [put('a', 1), put('b', 1), put('c', 1)])
  await write('counted', [put('a', 2), remove('b')])
  const { status, body } = await get('/state/counted')
  t.equal(status, 200)
  t.match(body.createdAt, /^\d{4}-/)
  t.strictSame(body, {
    namespace: 'counted',
    revision: 2,
    entries: 2,
    createdAt: body.createdAt,
    deletedKeys: { count: 1, isExact: true },
    history: { oldestRevision: 1, writes: { count: 5, isExact: true } },
    metadataIndex: { enabled: false },
    settings: {
      retention: { archive: false },
      durability: 'sync',
      metadataIndex: false,
      requirePrecondition: false,
    },
  })
})

t.test('settings are kept whole, and what is left out goes back to its default', async (t) => {
  const settings = {
    retention: { maxAgeMs: 1000, maxRevisions: 0, archive: true },
    defaultTtlMs: 60_000,
    durability: 'async',
    metadataIndex: false,
    requirePrecondition: true,
    readPreference: 'replica; max-lag-ms=500',
  }
  const made = await set('set', settings)
  t.equal(made.status, 201)
  t.equal(made.headers.get('location'), '/state/set')
  t.match(made.headers.get('consistency-token'), /\//)
  t.strictSame(made.body.settings, settings)
  t.strictSame((await get('/state/set')).body, made.body)
  const reset = await set('set', {})
  t.equal(reset.status, 200)
  t.strictSame(reset.body.settings, (await get('/state/counted')).body.settings)
})

t.test('settings that mean nothing are refused', async (t) => {
  const wrong = {
    retention: { maxAgeMs: 0, age: 1 },
    durability: 'maybe',
    readPreference: 'nearest',
    ttl: 5,
  }
  const { status, body } = await set('wrong', wrong)
  t.equal(status, 400)
  t.strictSame(body.errors.map(({ pointer }: { pointer: string }) => pointer).sort(), [
    '',
    '/durability',
    '/readPreference',
    '/retention',
    '/retention/maxAgeMs',
  ])
  t.equal((await get('/state/wrong')).status, 404)
})

t.test('a setting that is repeated with its key is done once', async (t) => {
  const key = { 'idempotency-key': 'once' }
  t.equal((await set('once', { durability: 'async' }, key)).status, 201)
  await set('once', {})
  const again = await set('once', { durability: 'async' }, key)
  t.equal(again.status, 201)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.equal((await get('/state/once')).body.settings.durability, 'sync')
})

t.test('namespaces are listed by name', async (t) => {
  const all = await get('/state')
  const names = all.body.items.map(({ namespace }: { namespace: string }) => namespace)
  t.strictSame(names, ['counted', 'once', 'set'])
  t.match(all.body.items[0], { revision: 2, entries: 2 })
  const page = await get('/state?limit=2')
  t.equal(page.body.items.length, 2)
  const next = await get(`/state?cursor=${page.body.nextCursor}`)
  t.strictSame(next.body.items, all.body.items.slice(2))
  const lines = await get('/state', { accept: 'application/x-ndjson' })
  t.equal(lines.text.trim().split('\n').length, 3)
})

const indexOf = async (namespace: string) =>
  (await get(`/state/${namespace}`)).body.metadataIndex as { enabled: boolean; state?: string }

async function ready(namespace: string): Promise<void> {
  while ((await indexOf(namespace)).state !== 'ready') await sleep(5)
}

t.test('an index over metadata is built, mended and dropped', async (t) => {
  await write('indexed', [put('a', 1, { metadata: { of: 1 } })])
  await set('indexed', { metadataIndex: true })
  await ready('indexed')
  const { rows } = await sql<{ name: string; valid: boolean }>`
    select c.relname as name, i.indisvalid as valid
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where c.relname like 'state_entries_metadata_%'`.execute(db)
  t.equal(rows.length, 1)
  await sql`
    update pg_index set indisvalid = false
    where indexrelid = ${rows[0]?.name}::regclass`.execute(db)
  t.strictSame(await indexOf('indexed'), { enabled: true, state: 'failed' })
  await set('indexed', { metadataIndex: true })
  await ready('indexed')
  await set('indexed', {})
  t.strictSame(await indexOf('indexed'), { enabled: false })
  for (;;) {
    const { rows: left } = await sql`
      select from pg_class where relname like 'state_entries_metadata_%'`.execute(db)
    if (left.length === 0) break
    await sleep(5)
  }
})
