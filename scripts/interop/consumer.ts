import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { connect } from '../demo/client.ts'
import { inColumns, sortRows } from '../demo/ledger.ts'
import type { Row } from '../demo/parquet.ts'
import { placeOrders, shopTables } from '../examples/shop.ts'
import { startServerProcess } from '../support/server-process.ts'
import { published } from './published.ts'
import { deltaRs } from './readers.ts'
import type { Tools } from './tools.ts'

/** How often the consumer is killed; the full check takes 200. */
const kills = Number(process.env['CONSUMER_KILLS'] ?? 5)
/** Of five orders or so, for each kill; the consumer takes an order at a time. */
const batchesOfKill = 6
/** The longest that a consumer lives before it is killed. */
const lifeMsMax = 1500

const table = 'stream.orders'
const program = fileURLToPath(new URL('../examples/consumer.ts', import.meta.url))

/**
 * Kills a consumer at random moments, again and again, until it has come to the end of its input; then delta-rs must find
 * each line of the input in the table once.
 */
export async function checkConsumer(folder: string, tools: Tools) {
  const input = `${folder}.ndjson`
  const orders = Array.from({ length: kills * batchesOfKill }, (_, at) => placeOrders(at)).flat()
  await writeFile(input, orders.map((order) => `${JSON.stringify(order)}\n`).join(''))
  const server = await startServerProcess(folder)
  try {
    const killed = await consumeThroughKills(server.address, input)
    const client = connect(server.address, 'reader')
    const { location } = await client.get<{ location: string }>(`/tables/${table}`)
    await published(client, table)
    const { newest } = await deltaRs(tools)({ location, versions: [], probes: [] })
    return {
      covered: `${orders.length} lines, ${killed} kills, ${newest.version} versions`,
      faults: compare(orders, newest.rows),
    }
  } finally {
    await server.stop()
  }
}

/** Answers how often the consumer was killed before it came to its end. */
async function consumeThroughKills(address: string, input: string): Promise<number> {
  for (let killed = 0; ; killed += 1) {
    const asked = ['--server', address, '--shop', 'stream', '--input', input, '--batch', '1']
    const consumer = spawn(process.execPath, [program, ...asked], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const ended = once(consumer, 'exit')
    if (killed < kills) {
      await Promise.race([ended, sleep(Math.random() * lifeMsMax)])
      consumer.kill('SIGKILL')
    }
    const [code, signal] = await ended
    if (code === 0) return killed
    if (signal !== 'SIGKILL') throw new Error(`the consumer ended with ${code ?? signal}`)
  }
}

function compare(orders: readonly Row[], rows: readonly Row[]): string[] {
  const inOrder = (some: readonly Row[]) =>
    sortRows(some.map((row) => inColumns(row, shopTables.orders.columns)))
  if (isDeepStrictEqual(inOrder(rows), inOrder(orders))) return []
  const ids = rows.map(({ id }) => id)
  const lost = orders.filter(({ id }) => !ids.includes(id ?? null))
  return [`of ${orders.length} lines ${lost.length} were lost, and there are ${rows.length} rows`]
}
