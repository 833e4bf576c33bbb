import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { placeOrders, shopTables } from '../examples/shop.ts'
import type { Client } from './client.ts'
import { type AddFile, readDataFile } from './data-files.ts'
import { type Consumed, inColumns, sortRows } from './ledger.ts'
import type { Row } from './parquet.ts'
import { published } from './published.ts'
import type { Story } from './story.ts'

const shop = 'stream'
const election = 'stream-consumer'
const batches = 12
/** Between two batches, so that there is time to stop a consumer in the middle. */
const restMs = 100

const program = fileURLToPath(new URL('../examples/consumer.ts', import.meta.url))

/**
 * Has consumers take over from each other: the first is stopped in the middle and comes back too late, the second is killed,
 * the third comes to the end.
 */
export async function changeLeaders(
  story: Story,
  { address, client, input }: { address: string; client: Client; input: string },
): Promise<Consumed> {
  story.scene('A leader consumes, is stopped, and comes back too late; the next one is killed')
  const orders = Array.from({ length: batches }, (_, batch) => placeOrders(batch)).flat()
  await writeFile(input, orders.map((order) => `${JSON.stringify(order)}\n`).join(''))
  story.line(
    `${orders.length} orders wait in ${input}. Only the leader of an election consumes them: in one transaction it`,
  )
  story.line('commits files to two tables, moves its offset, and shows its token.')
  const start = (candidate: string) => startConsumer(story, { address, input, candidate })
  const ada = start('ada')
  await ada.says(/Up to line/)
  const bob = start('bob')
  ada.process.kill('SIGSTOP')
  story.line('ada is stopped, as a machine is that swaps or is moved. Its lease runs out.')
  await bob.says(/Up to line/)
  ada.process.kill('SIGCONT')
  story.line('ada goes on, and does not know that another leads.')
  if ((await ada.ended) !== 3) throw new Error('ada was not refused')
  const eve = start('eve')
  bob.process.kill('SIGKILL')
  story.line('bob is killed.')
  if ((await eve.ended) !== 0) throw new Error('eve did not come to the end')
  return { location: await compareRows(story, client, orders), rows: orders }
}

/** A consumer in a process of its own, and what it says. */
interface Consumer {
  process: ChildProcess
  /** Settles when it says something like this. */
  says: (text: RegExp) => Promise<void>
  /** Its exit code, once it has ended. */
  ended: Promise<number | null>
}

function startConsumer(
  story: Story,
  { address, input, candidate }: { address: string; input: string; candidate: string },
): Consumer {
  const asked = { server: address, shop, input, election, candidate, 'rest-ms': String(restMs) }
  const options = Object.entries(asked).flatMap(([name, value]) => [`--${name}`, value])
  const child = spawn(process.execPath, [program, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said: string[] = []
  const heard = new EventEmitter()
  createInterface({ input: child.stdout }).on('line', (text) => {
    said.push(text)
    story.line(`${candidate}: ${text}`)
    heard.emit('line')
  })
  return {
    process: child,
    async says(text) {
      while (!said.some((one) => text.test(one))) {
        if (child.exitCode !== null)
          throw new Error(`${candidate} has ended with ${child.exitCode}`)
        await Promise.race([once(heard, 'line'), once(child, 'exit')])
      }
    },
    ended: once(child, 'close').then(([code]) => code),
  }
}

/** Holds the rows in the files of the table against the input; answers where the table is, once all stands in its log. */
async function compareRows(story: Story, client: Client, orders: readonly Row[]): Promise<string> {
  const table = `${shop}.orders`
  const { location } = await client.get<{ location: string }>(`/tables/${table}`)
  const { items } = await client.get<{ items: { add: AddFile }[] }>(
    `/tables/${table}/files?limit=1000`,
  )
  const layout = { location, ...shopTables.orders }
  const rows = await Promise.all(items.map(({ add }) => readDataFile(layout, add)))
  const found = sortRows(rows.flat().map((row) => inColumns(row, layout.columns)))
  if (!isDeepStrictEqual(found, sortRows(orders))) {
    throw new Error(`${found.length} rows came of ${orders.length} orders`)
  }
  await published(client, table)
  story.line(`Each of the ${orders.length} orders is in ${table} once.`)
  return location
}
