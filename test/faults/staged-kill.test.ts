import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { createDb } from '../../src/database/connect.ts'
import { type Api, add } from '../support/api.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'

/** How often a server is killed at a random moment of a commit. */
const kills = Math.min(20, Number(process.env['KILLS'] ?? 3))

t.setTimeout(120_000 + kills * 20_000)

const database = await createTestDatabase()
t.teardown(() => database.drop())
const pool = poolOf(database.connection)
const db = createDb(pool)
t.teardown(() => db.destroy())
const settings = {
  DATABASE_URL: database.url,
  DATA_DIR: await makeDataDir(t),
  HELD_ACTIONS_MAX: '100',
}
/** Who is to die is soon taken for dead; who lives on is not, however slow it is. */
const ofVictim = { ...settings, TRANSACTION_CLAIM_MS: '1000' }
const survivor = await startServerProcess(t, settings)

async function stage(api: Api) {
  const tables = await Promise.all([1, 2].map(() => api.makeTable()))
  const actions = Array.from({ length: 300 }, (_, at) => add(`${at}`))
  const { body } = await api.post('/transactions', {
    tables: tables.map((table) => ({ table, actions })),
  })
  return { id: body.id as string, way: `/transactions/${body.id}`, tables }
}

type Staged = Awaited<ReturnType<typeof stage>>

async function versionsOf({ tables }: Staged): Promise<number[]> {
  const found = await Promise.all(tables.map((table) => survivor.get(`/tables/${table}`)))
  return found.map(({ body }) => body.version)
}

/** The state as it is written down. */
async function storedState({ id }: Staged): Promise<string | undefined> {
  const { rows } = await sql<{ state: string }>`
    select state from transactions where id = ${id}::uuid`.execute(db)
  return rows[0]?.state
}

/** Waits until the commit of a dead server is resolved, one way or the other. */
async function resolved(staged: Staged): Promise<string | undefined> {
  for (;;) {
    const state = await storedState(staged)
    if (state !== 'committing') return state
    await sleep(50)
  }
}

t.test('who dies in the middle of a commit leaves it to others', async (t) => {
  const victim = await startServerProcess(t, ofVictim)
  const staged = await stage(victim)
  // Without its lines the commit goes no further, while it has the transaction.
  const held = await pool.connect()
  await held.query('begin')
  await held.query('lock table transaction_lines in access exclusive mode')
  const lost = victim.post(`${staged.way}/commit`).catch(() => 'lost')
  while ((await storedState(staged)) !== 'committing') await sleep(5)
  await victim.kill()
  t.equal(await lost, 'lost')
  await held.query('rollback')
  held.release()
  t.equal(await resolved(staged), 'active')
  t.strictSame(await versionsOf(staged), [0, 0])
  const again = await survivor.post(`${staged.way}/commit`)
  t.match(again, { status: 200, body: { state: 'committed' } })
  t.strictSame(await versionsOf(staged), [1, 1])
})

t.test('a server is killed at random moments of a commit', async (t) => {
  const ends: (string | undefined)[] = []
  for (let kill = 0; kill < kills; kill += 1) {
    const victim = await startServerProcess(t, ofVictim)
    const staged = await stage(victim)
    const headers = { 'idempotency-key': randomUUID() }
    const lost = victim.post(`${staged.way}/commit`, undefined, headers).catch(() => undefined)
    await sleep(Math.random() * 300)
    await victim.kill()
    const answer = await lost
    const state = await resolved(staged)
    const versions = await versionsOf(staged)
    t.strictSame(versions, state === 'committed' ? [1, 1] : [0, 0])
    if (answer?.status === 200) t.equal(state, 'committed')
    const again = await survivor.post(`${staged.way}/commit`, undefined, headers)
    t.equal(again.status, 200, again.text)
    if (answer?.status === 200) t.equal(again.text, answer.text)
    t.strictSame(await versionsOf(staged), [1, 1])
    ends.push(state)
  }
  t.comment(`resolved as ${ends}`)
})
