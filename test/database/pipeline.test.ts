import { sql } from 'kysely'
import t from 'tap'
import type { Tx } from '../../src/database/connect.ts'
import { inPipelinedTransaction } from '../../src/database/pipeline.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'
import { walPlace } from '../support/wal.ts'

const database = await createTestDatabase()
t.teardown(() => database.drop())
const pool = poolOf(database.connection, { max: 2 })
t.teardown(() => pool.end())

await pool.query('create table notes (place serial, note integer unique)')

const insert = (tx: Tx, note: number) => sql`insert into notes (note) values (${note})`.execute(tx)
const listNotes = async () =>
  (await pool.query('select note from notes order by place')).rows.map((row) => row.note)
const emptied = () => pool.query('truncate notes restart identity')

t.test(
  'statements run in the order in which they are issued, also the first of a connection',
  async (t) => {
    await emptied()
    const notes = Array.from({ length: 200 }, (_, note) => note)
    const { result } = await inPipelinedTransaction(pool, async (tx) => {
      const [first] = await Promise.all(notes.slice(0, 100).map((note) => insert(tx, note)))
      return { result: first, writes: notes.slice(100).map((note) => insert(tx, note)) }
    })
    t.equal(result?.numAffectedRows, 1n)
    t.strictSame(await listNotes(), notes)
  },
)

t.test('the token lies behind the commit, also where nothing was written', async (t) => {
  await emptied()
  const place = 'select pg_current_wal_insert_lsn() as place'
  const { result, consistencyToken } = await inPipelinedTransaction(pool, async (tx) => {
    await insert(tx, 1)
    const { rows } = await sql<{ place: string }>`${sql.raw(place)}`.execute(tx)
    return { result: rows[0]?.place, writes: [] }
  })
  t.ok(walPlace(consistencyToken) > walPlace(result))
  const later = await inPipelinedTransaction(pool, async (tx) => {
    await sql`select from notes`.execute(tx)
    return { result: 0, writes: [] }
  })
  t.ok(walPlace(later.consistencyToken) >= walPlace(consistencyToken))
  const { rows } = await pool.query(place)
  t.ok(walPlace(rows[0]?.place) >= walPlace(later.consistencyToken))
})

t.test('a token that is lost does not lose the transaction, nor the next token', async (t) => {
  await emptied()
  const proxy = await startProxy(t, database)
  const proxied = poolOf({ connectionString: proxy.url }, { max: 1 })
  t.teardown(() => proxied.end())
  const write = (note: number) =>
    inPipelinedTransaction(proxied, async (tx) => ({ result: note, writes: [insert(tx, note)] }))
  proxy.garble('pg_current_wal_insert_lsn')
  t.strictSame(await write(1), { result: 1, consistencyToken: undefined })
  t.strictSame(await listNotes(), [1])
  t.match(await write(2), { result: 2, consistencyToken: String })
  t.strictSame(await listNotes(), [1, 2])
})

t.test('all writes are in the transaction, however many go on side by side', async (t) => {
  await emptied()
  const rounds = Array.from({ length: 100 }, (_, round) => round)
  await Promise.all(
    rounds.map((round) =>
      inPipelinedTransaction(pool, async (tx) => ({
        result: 0,
        writes: [0, 1, 2].map((write) => insert(tx, round * 3 + write)),
      })),
    ),
  )
  const { rows } = await pool.query(
    'select count(*) as writes from notes group by xmin::text having count(*) <> 3',
  )
  t.strictSame(rows, [])
  t.equal((await listNotes()).length, 300)
})

t.test('nothing is kept when the work throws, and the connection serves on', async (t) => {
  await emptied()
  for (let round = 0; round < 5; round += 1) {
    const work = inPipelinedTransaction(pool, async (tx) => {
      await insert(tx, round)
      throw new Error('changed my mind')
    })
    await t.rejects(work, { message: 'changed my mind' })
  }
  t.strictSame(await listNotes(), [])
  t.equal(pool.totalCount, pool.idleCount)
})

t.test(
  'nothing is kept when the last writes fail, though the commit was sent with them',
  async (t) => {
    await emptied()
    const work = inPipelinedTransaction(pool, async (tx) => ({
      result: undefined,
      writes: [insert(tx, 1), insert(tx, 1), insert(tx, 2)],
    }))
    await t.rejects(work, { code: '23505' })
    t.strictSame(await listNotes(), [])
    await inPipelinedTransaction(pool, async (tx) => ({ result: 0, writes: [insert(tx, 3)] }))
    t.strictSame(await listNotes(), [3])
  },
)

t.test('a failure that the work has passed over is told, for nothing is kept', async (t) => {
  await emptied()
  const work = inPipelinedTransaction(pool, async (tx) => {
    await insert(tx, 1)
    await sql`select 1 / 0`.execute(tx).catch(() => {})
    return { result: 0, writes: [] }
  })
  await t.rejects(work, { message: 'PostgreSQL has rolled the transaction back' })
  t.strictSame(await listNotes(), [])
})

t.test('a connection that is lost on the way is not used again', async (t) => {
  await emptied()
  const work = inPipelinedTransaction(pool, async (tx) => {
    await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx)
    return { result: 0, writes: [] }
  })
  await t.rejects(work)
  await inPipelinedTransaction(pool, async (tx) => ({ result: 0, writes: [insert(tx, 1)] }))
  t.strictSame(await listNotes(), [1])
})

t.test(
  'a transaction that cannot begin writes nothing, and the connection serves on',
  async (t) => {
    await emptied()
    const proxy = await startProxy(t, database)
    const proxied = poolOf({ connectionString: proxy.url }, { max: 1 })
    t.teardown(() => proxied.end())
    const write = (note: number) =>
      inPipelinedTransaction(proxied, async (tx) => {
        await sql`select`.execute(tx)
        return { result: note, writes: [insert(tx, note), insert(tx, note + 1)] }
      })
    proxy.garble('begin isolation level')
    await t.rejects(write(1), { message: 'syntax error at or near "#"' })
    t.strictSame(await listNotes(), [])
    t.match(await write(3), { result: 3 })
    t.strictSame(await listNotes(), [3, 4])
  },
)
