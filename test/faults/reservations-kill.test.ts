import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { createDb } from '../../src/database/connect.ts'
import type { Api } from '../support/api.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'

/** How often a server is killed while it waits. */
const kills = Math.min(20, Number(process.env['KILLS'] ?? 3))

t.setTimeout(120_000 + kills * 20_000)

const database = await createTestDatabase()
t.teardown(() => database.drop())
const db = createDb(poolOf(database.connection))
t.teardown(() => db.destroy())
const settings = { DATABASE_URL: database.url, DATA_DIR: await makeDataDir(t) }
const survivor = await startServerProcess(t, settings)

const begin = async (priority = 5) =>
  (await survivor.post('/transactions', { priority })).body.id as string
const reserve = (on: Api, id: string, table: string) =>
  on.post(`/transactions/${id}/reserve`, { tables: [table], waitMs: 60_000 })

async function waiting(id: string): Promise<void> {
  for (;;) {
    const { rows } = await sql`
      select from reservation_waits where transaction_id = ${id}::uuid`.execute(db)
    if (rows.length > 0) return
    await sleep(5)
  }
}

t.test('who waits at a server that is killed stands in nobody’s way', async (t) => {
  for (let kill = 0; kill < kills; kill += 1) {
    const victim = await startServerProcess(t, { ...settings, TRANSACTION_CLAIM_MS: '1000' })
    const [one, two] = [await survivor.makeTable(), await survivor.makeTable()]
    const [holder, dead, alive] = [await begin(), await begin(), await begin()]
    await reserve(survivor, holder, one)
    await reserve(survivor, dead, two)
    const lost = reserve(victim, dead, one).catch(() => 'lost')
    await waiting(dead)
    const younger = reserve(survivor, alive, one)
    await waiting(alive)
    await sleep(Math.random() * 100)
    await victim.kill()
    t.equal(await lost, 'lost')
    await survivor.post(`/transactions/${holder}/rollback`)
    t.equal((await younger).status, 200, 'although an older one was waiting')
    // The one who waited has its other table still, and is not in a circle, for it waits no more.
    const forTwo = reserve(survivor, alive, two)
    await waiting(alive)
    t.equal((await survivor.post(`/transactions/${dead}/rollback`)).status, 200)
    t.equal((await forTwo).status, 200)
    await survivor.post(`/transactions/${alive}/rollback`)
  }
})

t.test('a circle over two server processes is found, and the victim told', async (t) => {
  const other = await startServerProcess(t, settings)
  const [one, two] = [await survivor.makeTable(), await survivor.makeTable()]
  const [low, high] = [await begin(1), await begin(8)]
  await reserve(survivor, low, one)
  await reserve(other, high, two)
  const lows = reserve(survivor, low, two)
  await waiting(low)
  const highs = reserve(other, high, one)
  t.match(await lows, { status: 409, body: { code: 'deadlock', transactionId: low } })
  t.equal((await highs).status, 200)
  t.match(other.output(), /a deadlock of reservations was ended/)
})
