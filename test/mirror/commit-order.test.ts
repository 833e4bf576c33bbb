import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

/** How many commits each client makes. */
const commits = Number(process.env['ORDER_COMMITS'] ?? 25)
const clients = 6
const tableCount = 5

t.setTimeout(60_000 + commits * 2_000)

/** What a watcher saw of a table: the newest version in its folder. */
interface Sight {
  table: number
  height: number
}

/** The versions of a transaction, by table. */
type Transaction = ReadonlyMap<number, number>

t.test('who watches the folders sees transactions in the order of their commits', async (t) => {
  const one = await startTestServer(t)
  const two = await startTestServer(t, {}, { beside: one })
  const tables = await Promise.all(Array.from({ length: tableCount }, () => one.makeTable()))
  const folders = tables.map((table) => join(one.dataDir, 'tables', table, '_delta_log'))
  const transactions: Transaction[] = []

  async function runClient(client: number): Promise<void> {
    const server = client % 2 === 0 ? one : two
    for (let number = 0; number < commits; number += 1) {
      const chosen = tables.filter(() => Math.random() < 0.3)
      const actions = [add(`${client}-${number}`)]
      if (chosen.length === 1) await server.commit(chosen[0] ?? '', { actions })
      if (chosen.length < 2) continue
      const parts = chosen.map((table) => ({ table, actions }))
      const { status, body } = await server.post('/transactions', { commit: true, tables: parts })
      t.equal(status, 201)
      const versions = body.tables.map((part: { tableId: string; version: number }) => [
        tables.indexOf(part.tableId),
        part.version,
      ])
      transactions.push(new Map(versions))
    }
  }

  const sights: Sight[] = []
  let isOver = false
  async function watch(): Promise<void> {
    const last = folders.map(() => -2)
    while (!isOver) {
      for (const [table, folder] of folders.entries()) {
        const height = await heightOf(folder)
        // What has not changed tells nothing new, but once: what stood there while others moved.
        if (height !== last[table] || Math.random() < 0.2) sights.push({ table, height })
        last[table] = height
      }
    }
  }

  const watching = watch()
  try {
    await Promise.all(Array.from({ length: clients }, (_, client) => runClient(client)))
    for (const table of tables) await one.published(table)
  } finally {
    isOver = true
    await watching
  }
  for (const [table, folder] of folders.entries()) {
    sights.push({ table, height: await heightOf(folder) })
  }
  t.strictSame(findFaults(sights, transactions), [])
  const met = countMet(sights, transactions)
  t.ok(met > transactions.length / 10, `${met} sights of ${transactions.length} transactions`)
  const metrics = await Promise.all([one, two].map((server) => server.get('/metrics')))
  for (const { text } of metrics) t.match(text, /^deltaworks_mirror_versions_ahead_total 0$/m)
})

t.test('the judge of what was seen sees faults', async (t) => {
  const transaction: [number, number][] = [
    [0, 2],
    [1, 5],
  ]
  const transactions = [new Map(transaction)]
  const sights = (...heights: [number, number][]) =>
    heights.map(([table, height]) => ({ table, height }))
  t.strictSame(findFaults(sights([0, 1], [1, 0]), transactions), [])
  t.strictSame(findFaults(sights([0, 2], [1, 4]), transactions), [])
  t.match(findFaults(sights([0, 2], [1, 3]), transactions), [/table 1 at 3/])
  t.match(findFaults(sights([0, 3], [1, 4]), transactions), [/table 1 at 4/])
  t.strictSame(findFaults(sights([1, 4], [0, 3], [1, 5]), transactions), [])
})

/**
 * What breaks the order: a version of a transaction that is visible on one table, and then what comes before it on
 * another is not; or what follows it on one, and then the transaction is not visible on another. Only what was looked at
 * later counts, for that can but have grown.
 */
function findFaults(sights: readonly Sight[], transactions: readonly Transaction[]): string[] {
  const faults: string[] = []
  /** What each table must show at least from now on. */
  const least = new Map<number, number>()
  const open = new Set(transactions)
  for (const { table, height } of sights) {
    const needed = least.get(table) ?? -1
    if (height < needed) faults.push(`table ${table} at ${height}, when it had to be at ${needed}`)
    for (const transaction of open) {
      const lead = height - (transaction.get(table) ?? Number.POSITIVE_INFINITY)
      if (lead >= 0) raise(least, transaction, lead > 0 ? 0 : 1)
      if (lead > 0) open.delete(transaction)
    }
  }
  return faults
}

/** Has each table of a transaction show its version, or be no more than so many behind. */
function raise(least: Map<number, number>, transaction: Transaction, behind: number): void {
  for (const [table, version] of transaction) {
    least.set(table, Math.max(least.get(table) ?? -1, version - behind))
  }
}

/** How many sights were of a table whose newest version was one of a transaction. */
function countMet(sights: readonly Sight[], transactions: readonly Transaction[]): number {
  return sights.filter(({ table, height }) =>
    transactions.some((transaction) => transaction.get(table) === height),
  ).length
}

async function heightOf(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => /^\d{20}\.json$/.test(name)).length - 1
}
