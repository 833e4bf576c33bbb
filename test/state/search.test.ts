import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db, post } = server
const { write } = createStateWriter(server)

const query = (namespace: string, body: object) => post(`/state/${namespace}/query`, body)
const keysIn = (items: { key: string }[]) => items.map(({ key }) => key)
const find = async (namespace: string, body: object) =>
  keysIn((await query(namespace, body)).body.items)

/** All pages, and how many there were. */
async function findAll(
  namespace: string,
  body: object,
): Promise<{ keys: string[]; pages: number }> {
  const keys: string[] = []
  let pages = 0
  for (let cursor: string | undefined; pages === 0 || cursor !== undefined; pages++) {
    const { body: page } = await query(namespace, { ...body, ...(cursor && { cursor }) })
    keys.push(...keysIn(page.items))
    cursor = page.nextCursor
  }
  return { keys, pages }
}

t.test('entries are found by what their metadata contain', async (t) => {
  await write('found', [
    put('a', 1, { metadata: { topic: 'orders', tags: ['x', 'y'], of: { rank: 1 } } }),
    put('b', 2, { metadata: { topic: 'orders', of: { rank: 2 } } }),
    put('c', 3, { metadata: { topic: 'other' }, ttlMs: 1 }),
    put('d', 4, { metadata: { topic: 'orders' } }),
    put('p/e', 5, { metadata: { topic: 'orders' } }),
    put('f', 6),
  ])
  await write('found', [remove('d')])
  await sleep(2)
  t.strictSame(await find('found', { metadata: { topic: 'orders' } }), ['a', 'b', 'p/e'])
  t.strictSame(await find('found', { metadata: { of: { rank: 2 } } }), ['b'])
  t.strictSame(await find('found', { metadata: { tags: ['y'] } }), ['a'])
  t.strictSame(await find('found', { metadata: { topic: 'other' } }), [], 'it has expired')
  t.strictSame(await find('found', { metadata: { topic: 'orders' }, keyPrefix: 'p/' }), ['p/e'])
  t.strictSame(await find('found', {}), ['a', 'b', 'f', 'p/e'])
  t.strictSame(await find('nobody', { metadata: {} }), [])
  const { body } = await query('found', { metadata: { of: { rank: 1 } } })
  t.match(body.items, [{ namespace: 'found', key: 'a', version: 1, value: 1 }])
})

t.test('entries are found by when they were written', async (t) => {
  await write('timed', [put('a', 1), put('b', 1)])
  const { body } = await query('timed', {})
  await sleep(2)
  await write('timed', [put('b', 2)])
  t.strictSame(await find('timed', { updatedAfter: body.items[0].updatedAt }), ['b'])
})

t.test('what cannot be looked for is refused', async (t) => {
  t.match((await query('found', { metadata: ['a'] })).body, { code: 'invalid-request' })
  t.match((await query('found', { metadata: { a: '\u0000' } })).body, { code: 'invalid-request' })
  t.match((await query('found', { updatedAfter: 'now' })).body, { code: 'invalid-request' })
  t.match((await query('found', { cursor: 'x' })).body, { code: 'invalid-cursor' })
  const { body } = await query('found', { limit: 1 })
  const other = await query('found', { limit: 1, metadata: {}, cursor: body.nextCursor })
  t.match(other.body, { code: 'invalid-cursor' })
})

const many = 60_000
/** Every how many-th is rare. */
const rarity = 6000

/** Puts entries in place as an import would: few are rare, every third common. */
async function fill(namespace: string): Promise<number> {
  await write(namespace, [put('', 0)])
  const { rows } = await sql<{ id: number }>`
    select id from state_namespaces where namespace = ${namespace}`.execute(db)
  const id = rows[0]?.id ?? 0
  await sql`
    insert into state_entries (namespace_id, key, version, revision, json, metadata, created_at,
      updated_at)
    select ${id}, 'k' || lpad(i::text, 7, '0'), 1, 1, '1',
      jsonb_build_object('third', i % 3, 'rare', i % ${rarity}::integer = 777, 'id', i), now(), now()
    from generate_series(1, ${many}::integer) i`.execute(db)
  await sql`vacuum analyze state_entries`.execute(db)
  return id
}

t.test('what is much is counted as an estimate', async (t) => {
  await write('estimated', [put('a', 1)])
  const { rows } = await sql<{ id: number }>`
    select id from state_namespaces where namespace = 'estimated'`.execute(db)
  await sql`
    insert into state_history (namespace_id, revision, position, key, version, kind, created_at,
      updated_at)
    select ${rows[0]?.id}::integer, 1, i, 'a', i, 'put', now(), now()
    from generate_series(1, 100_001) i`.execute(db)
  await sql`analyze state_history`.execute(db)
  const { writes } = (await server.get('/state/estimated')).body.history
  t.equal(writes.isExact, false)
  t.ok(writes.count > 90_000 && writes.count < 110_000)
})

t.test('rare and frequent entries are found among many, with an index or without', async (t) => {
  const id = await fill('many')
  const rare = { metadata: { rare: true } }
  const expected = Array.from(
    { length: many / rarity },
    (_, index) => `k${String(index * rarity + 777).padStart(7, '0')}`,
  )
  const without = await findAll('many', { ...rare, limit: 5 })
  t.strictSame(without.keys, expected)
  t.ok(without.pages > many / rarity / 5, 'pages end early where none fit')
  const lines = await server.call('POST', '/state/many/query', {
    json: rare,
    headers: { accept: 'application/x-ndjson' },
  })
  t.strictSame(
    keysIn(
      lines.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
    expected,
  )
  await server.call('PUT', '/state/many', { json: { metadataIndex: true } })
  while ((await server.get('/state/many')).body.metadataIndex.state !== 'ready') await sleep(10)
  const withIndex = await findAll('many', { ...rare, limit: 5 })
  t.strictSame(withIndex, { keys: expected, pages: 2 })
  t.strictSame(await find('many', { metadata: { id: 43_210 } }), ['k0043210'])
  const frequent = await findAll('many', { metadata: { third: 1 }, limit: 1000 })
  t.equal(frequent.keys.length, Math.floor((many + 2) / 3))
  const plan = await sql<{ 'QUERY PLAN': string }>`
    explain select * from (
      select * from state_entries
      where namespace_id = ${sql.lit(id)} and key > 'k' and metadata @> '{"rare":true}' offset 0
    ) as found order by key limit 6`.execute(db)
  const told = plan.rows.map((row) => row['QUERY PLAN']).join('\n')
  t.match(told, `Bitmap Index Scan on state_entries_metadata_${id}_idx`)
})
