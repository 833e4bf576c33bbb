import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Client, connect, expectStatus } from '../demo/client.ts'
import { startServerProcess } from '../support/server-process.ts'
import { published } from './published.ts'
import type { Tools } from './tools.ts'

const accounts = 10
const opening = 1000
const clients = 8
const transfersEach = 20
const momentsMax = 20

const program = fileURLToPath(new URL('balances_delta_rs.py', import.meta.url))

interface Account {
  id: string
  location: string
}

interface Committed {
  id: string
  tables: { version: number }[]
}

/**
 * Moves money between tables in transactions of many clients, a balance being the size of a table's one file, and has
 * delta-rs add up what the published logs say at the versions of single transactions.
 */
export async function checkTransactions(folder: string, tools: Tools) {
  const server = await startServerProcess(folder)
  try {
    const client = connect(server.address, 'the bank')
    const all = await openAccounts(client)
    const done = (await Promise.all(all.slice(0, clients).map(() => transfer(client, all)))).flat()
    await Promise.all(all.map(({ id }) => published(client, id)))
    const step = Math.ceil(done.length / momentsMax)
    const moments = await Promise.all(
      done.filter((_, at) => at % step === 0).map((id) => placesOf(client, all, id)),
    )
    const running = promisify(execFile)(tools.python, [program])
    running.child.stdin?.end(JSON.stringify(moments))
    const sums: number[] = JSON.parse((await running).stdout)
    const wrong = sums.filter((sum) => sum !== accounts * opening)
    return {
      covered: `${done.length} transactions over ${accounts} tables, ${sums.length} moments`,
      faults: wrong.map((sum) => `it finds ${sum} where ${accounts * opening} is`),
    }
  } finally {
    await server.stop()
  }
}

async function openAccounts(client: Client): Promise<Account[]> {
  const fields = [{ name: 'id', type: 'long', nullable: true, metadata: {} }]
  const schema = { type: 'struct', fields }
  const all = await Promise.all(
    Array.from({ length: accounts }, async (_, number) => {
      const made = await client.post<Account>('/tables', { name: `account_${number}`, schema })
      return expectStatus(made, 201).body
    }),
  )
  const tables = all.map(({ id }) => ({ table: id, actions: [balance(opening)] }))
  expectStatus(await client.post('/transactions', { commit: true, tables }), 201)
  return all
}

function balance(size: number) {
  const path = `${randomUUID()}.parquet`
  return { add: { path, partitionValues: {}, size, modificationTime: 0, dataChange: true } }
}

/** Moves money again and again; answers the transactions that were committed. */
async function transfer(client: Client, all: readonly Account[]): Promise<string[]> {
  const done: string[] = []
  while (done.length < transfersEach) {
    const [from, to] = [pick(all), pick(all)]
    if (from === to) continue
    const changes = [
      [from, -1],
      [to, 1],
    ] as const
    const tables = await Promise.all(
      changes.map(async ([{ id }, more]) => {
        const { version, items } = await client.get<{
          version: number
          items: { add: { path: string; size: number } }[]
        }>(`/tables/${id}/files`)
        const { path, size } = items[0]?.add ?? { path: '', size: 0 }
        const remove = { remove: { path, deletionTimestamp: Date.now(), dataChange: true } }
        return {
          table: id,
          expectedVersion: version + 1,
          actions: [remove, balance(size + more)],
        }
      }),
    )
    const answer = await client.post<Committed>('/transactions', { commit: true, tables })
    if (answer.status === 201) done.push((answer.body as Committed).id)
  }
  return done
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(Math.random() * items.length)] as Item
}

/** The versions of all tables as of a transaction. */
async function placesOf(client: Client, all: readonly Account[], transactionId: string) {
  const tables = all.map(({ id }) => id)
  const answer = await client.post<{ tables: { tableId: string; version: number }[] }>(
    '/snapshots',
    { tables, transactionId },
  )
  const seen = expectStatus(answer, 200).body.tables
  return seen.map(({ tableId, version }) => {
    const location = all.find(({ id }) => id === tableId)?.location
    return { location, version }
  })
}
