import { sql } from 'kysely'
import t from 'tap'
import { createDb } from '../../../src/database/connect.ts'
import { createReaders } from '../../../src/database/replicas/reader.ts'
import { createReplicas } from '../../../src/database/replicas/replicas.ts'
import { copyPoolOf, poolOf } from '../../support/postgres.ts'
import { startPrimary, startReplica } from '../../support/replica.ts'

const primary = await startPrimary(t)
const replica = await startReplica(t, primary, { max_standby_streaming_delay: '0' })
const at = (url: string) => ({ connectionString: url })
const db = createDb(poolOf(at(primary.url)))
t.teardown(() => db.destroy())
const copyPool = copyPoolOf(at(primary.url))
t.teardown(() => copyPool.end())
const replicas = createReplicas({
  replicas: [
    {
      name: 'replica',
      open: (kind) => poolOf(at(replica.url), { pipeline: kind !== 'copies' }),
    },
  ],
  openPrimary: () => poolOf(at(primary.url), { max: 1 }),
  checkMs: 20,
  waitMsMax: 50,
  log: { warn() {} },
})
replicas.start()
t.teardown(() => replicas.stop())
let repeats = 0
const { forWish } = createReaders({
  db,
  copyPool,
  replicas,
  onRepeat: () => {
    repeats += 1
  },
})
const anyReplica = () => forWish({ preference: 'replica' })

await primary.query('create table busy (id int); insert into busy values (1)')
await until(async () => {
  const found = await replica.query("select to_regclass('busy') is not null as found")
  return found[0].found && replicas.list()[0]?.healthy === true
})

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** Empties the table once a statement on the replica is at work on it, which ends that statement. */
async function conflict(): Promise<void> {
  await until(async () => {
    const text = "select count(*)::int as count from pg_locks where relation = 'busy'::regclass"
    return (await replica.query(text))[0].count > 0
  })
  await primary.query('truncate busy')
}

t.test('a read that replay ends is repeated on the primary', async (t) => {
  const reader = anyReplica()
  const slow = sql<{ place: string | null }>`
    select case when pg_is_in_recovery() then pg_sleep(600)::text end as place
    from busy union all select 'end'`
  const [{ rows }] = await Promise.all([slow.execute(reader.db), conflict()])
  t.strictSame(rows, [{ place: 'end' }])
  t.equal(reader.servedBy(), 'primary')
  t.equal(repeats, 1)
  const { rows: later } = await sql<{ is: boolean }>`select pg_is_in_recovery() as is`.execute(
    reader.db,
  )
  t.strictSame(later, [{ is: false }], 'and what the same request reads after it is no older')
})

t.test('so are lines that have not begun', async (t) => {
  await primary.query('insert into busy values (1)')
  const reader = anyReplica()
  const slow = sql`select case when pg_is_in_recovery() then 600 else 0 end from busy, lateral
    (select pg_sleep(case when pg_is_in_recovery() then 600 else 0 end)) as s union all select 7`
  await until(async () => (await replica.query('select count(*)::int as n from busy'))[0].n === 1)
  const [rows] = await Promise.all([reader.openRows(slow), conflict()])
  const text = (await rows.toArray()).join('')
  t.equal(text, '7\n')
  t.equal(reader.servedBy(), 'primary')
})

t.test('lines that have begun break off when the replica stands still', async (t) => {
  const reader = anyReplica()
  const rows = await reader.openRows(
    sql`select n, repeat('x', 1000) from generate_series(1, 1000000) as n`,
  )
  t.equal(reader.servedBy(), 'replica')
  replica.freeze()
  await t.rejects(rows.toArray(), { message: 'the replica does not answer any more' })
  replica.thaw()
})

t.test('a statement that takes too long is not begun anew', async (t) => {
  await until(async () => replicas.list()[0]?.healthy === true)
  const reader = anyReplica()
  const before = repeats
  const slow = sql`select pg_sleep(600)`
  const cancel = until(async () => {
    const text =
      "select pg_cancel_backend(pid) from pg_stat_activity where query like '%600%' and pid <> pg_backend_pid()"
    return (await replica.query(text)).length > 0
  })
  await t.rejects(Promise.all([slow.execute(reader.db), cancel]), { code: '57014' })
  t.equal(repeats, before)
})
