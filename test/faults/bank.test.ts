import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Api, add, remove } from '../support/api.ts'
import {
  killPostmaster,
  makeUsedDataDir,
  postmasterPid,
  type ServerProcess,
  startServerProcess,
} from '../support/process.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'

const accounts = 20
const clients = 16
const opening = 1000
/** How often something is killed. */
const kills = Number(process.env['KILLS'] ?? 3)

t.setTimeout(120_000 + kills * 20_000)

/** A balance is the size of the one live file of its table. */
async function balanceAt(api: Api, table: string, version: number | undefined): Promise<Balance> {
  const query = version === undefined ? '' : `?version=${version}`
  const { status, body } = await api.get(`/tables/${table}/files${query}`)
  if (status !== 200) throw new Error(body?.detail)
  const [file, ...others] = body.items
  if (others.length > 0) throw new Error(`${others.length + 1} balances in one table`)
  return { path: file.add.path, amount: file.add.size, version: body.version }
}

interface Balance {
  path: string
  amount: number
  version: number
}

/** The sum of all balances in one consistent view. */
async function sumOf(api: Api, tables: readonly string[], when: object = {}): Promise<number> {
  const view = await api.post('/snapshots', { tables, ...when })
  if (view.status !== 200) throw new Error(view.text)
  const balances = await Promise.all(
    view.body.tables.map(({ tableId, version }: { tableId: string; version: number }) =>
      balanceAt(api, tableId, version),
    ),
  )
  return balances.reduce((sum, { amount }) => sum + amount, 0)
}

/** Moves money between random accounts until told to end, and repeats what got no answer under its key. */
function startTransfers(api: Api, tables: readonly string[]) {
  const surprises: string[] = []
  const committed: string[] = []
  let count = 0

  async function transfer(pace: Pace): Promise<void> {
    const [from, to] = [pick(tables), pick(tables)]
    if (from === to) return
    const [source, target] = await Promise.all([
      balanceAt(api, from, undefined),
      balanceAt(api, to, undefined),
    ])
    const amount = Math.min(source.amount, 1 + Math.floor(Math.random() * 50))
    count += 1
    const name = `b-${count}`
    const change = (table: string, { path, version }: Balance, size: number) => ({
      table,
      expectedVersion: version + 1,
      actions: [remove(path), add(`${name}-${table}`, { size })],
    })
    const body = {
      commit: true,
      tables: [
        change(from, source, source.amount - amount),
        change(to, target, target.amount + amount),
      ],
    }
    for (;;) {
      const answer = await api
        .post('/transactions', body, { 'idempotency-key': name })
        .catch(() => undefined)
      if (answer?.status === 201) {
        committed.push(answer.body.id)
        return pace.count()
      }
      const code = answer?.body?.code
      if (code === 'version-conflict') return
      if (answer !== undefined && !passing.includes(code)) surprises.push(answer.text)
      await sleep(50)
    }
  }

  const pace = startClientsAt(clients, async (own) => {
    while (!own.isEnded()) await transfer(own).catch(() => sleep(50))
  })
  return { ...pace, surprises, committed }
}

const passing = ['database-unavailable', 'idempotency-in-progress', 'overloaded', 'shutting-down']

t.test(`no money comes or goes while ${kills} servers and databases are killed`, async (t) => {
  const dataDir = await makeUsedDataDir(t)
  let server = await startServerProcess(t, { DATA_DIR: dataDir })
  const tables = await Promise.all(Array.from({ length: accounts }, () => server.makeTable()))
  const balances = tables.map((table) => ({ table, actions: [add('b-0', { size: opening })] }))
  t.equal((await server.post('/transactions', { commit: true, tables: balances })).status, 201)
  const total = accounts * opening
  const transfers = startTransfers(server, tables)
  const sums: number[] = []
  const reading = startClientsAt(1, async (pace) => {
    while (!pace.isEnded()) {
      await sumOf(server, tables).then(
        (sum) => sums.push(sum),
        () => sleep(50),
      )
    }
  })
  for (let kill = 0; kill < kills; kill += 1) {
    await transfers.progress(20)
    server = await killOne(t, server, { dataDir, isDatabase: kill % 2 === 1 })
  }
  await transfers.progress(40)
  await Promise.all([transfers.end(), reading.end()])
  t.strictSame([...new Set(sums)], [total], `${sums.length} sums`)
  t.equal(await sumOf(server, tables), total)
  for (const transactionId of transfers.committed.slice(-5)) {
    t.equal(await sumOf(server, tables, { transactionId }), total)
  }
  t.strictSame(transfers.surprises, [])
  const { body } = await server.get('/transactions?limit=1000')
  const known = new Set(body.items.map(({ id }: { id: string }) => id))
  if (body.nextCursor === undefined) t.ok(transfers.committed.every((id) => known.has(id)))
  t.comment(`${transfers.committed.length} transfers, ${sums.length} sums`)
  t.strictSame(await server.stop(), { code: 0, signal: null })
})

async function killOne(
  t: Test,
  server: ServerProcess,
  { dataDir, isDatabase }: { dataDir: string; isDatabase: boolean },
): Promise<ServerProcess> {
  if (isDatabase) {
    while (postmasterPid(dataDir) === undefined) await sleep(5)
    await killPostmaster(dataDir, 'SIGKILL')
    return server
  }
  await server.kill()
  const { port } = new URL(server.address)
  return startServerProcess(t, { DATA_DIR: dataDir, PORT: port })
}
