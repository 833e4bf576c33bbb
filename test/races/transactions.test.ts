import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const clients = 16
const rounds = 12

t.test('transactions over random tables in random order meet without deadlock', async (t) => {
  const one = await startTestServer(t, {}, { mirror: false })
  const two = await startTestServer(t, {}, { beside: one, mirror: false })
  const tables = await Promise.all(Array.from({ length: 8 }, () => one.makeTable()))
  const names = await Promise.all(
    tables.map(async (table) => (await one.get(`/tables/${table}`)).body.name),
  )
  const done: { id: string; tables: { tableId: string; version: number }[] }[] = []

  async function runClient(client: number): Promise<void> {
    const server = client % 2 === 0 ? one : two
    for (let round = 0; round < rounds; round += 1) {
      const chosen = tables
        .map((table, at) => ({
          table: Math.random() < 0.5 ? table : names[at],
          order: Math.random(),
        }))
        .sort((a, b) => a.order - b.order)
        .slice(0, 1 + Math.floor(Math.random() * 5))
      const parts = chosen.map(({ table }) => ({ table, actions: [add(`${client}-${round}`)] }))
      const { status, body } = await server.post('/transactions', { commit: true, tables: parts })
      if (status === 201) done.push(body)
      else t.fail(`${status} ${body.detail}`)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(client)))
  t.equal(done.length, clients * rounds)
  for (const table of tables) {
    const { body } = await two.get(`/tables/${table}`)
    const made = done.flatMap((one) =>
      one.tables.filter(({ tableId }) => tableId === table).map(({ version }) => version),
    )
    t.strictSame(
      made.sort((a, b) => a - b),
      Array.from({ length: body.version }, (_, at) => at + 1),
    )
  }
})
