import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { connect, expectStatus } from '../demo/client.ts'
import { writeDataFile, writeDataFiles } from '../demo/data-files.ts'
import type { Row } from '../demo/parquet.ts'
import { openTable } from './shop.ts'

// A consumer that can be killed at any moment and run again, as docs/pipelines.md tells. The files of a batch and the
// offset behind it are committed in one transaction, so every line of the input comes into the tables once.

/** Up to where the input was consumed, and the version of the entry that says so; 0 where there is none yet. */
interface Offset {
  value: number
  version: number
}

const { server, shop, input, batch } = readOptions()
const client = connect(server, 'consumer')
const tell = (text: string) => process.stdout.write(`${text}\n`)

const lines = (await readFile(input, 'utf8')).trimEnd().split('\n')
const orders = await openTable(client, shop, 'orders')
const batches = await openTable(client, shop, 'batches')
const none: Offset = { value: 0, version: 0 }
let offset = (await client.find<Offset>(`/state/${shop}/entries/offset`)) ?? none
tell(`It goes on at line ${offset.value} of ${lines.length}.`)
while (offset.value < lines.length) {
  offset = await consume(lines.slice(offset.value, offset.value + batch), offset)
  tell(`Up to line ${offset.value} all is committed.`)
}

/** Commits lines and moves the offset behind them; refused where somebody else has moved it. */
async function consume(some: readonly string[], { value, version }: Offset): Promise<Offset> {
  const rows: Row[] = some.map((line) => JSON.parse(line))
  const written = await writeDataFiles(orders, rows)
  const loaded = { batch: String(value), orders: String(rows.length) }
  const { add } = await writeDataFile(batches, [loaded])
  const next = value + rows.length
  const move = { put: { key: 'offset', value: next, expectedVersion: version } }
  const transaction = {
    commit: true,
    label: `lines ${value} to ${next}`,
    tables: [
      { table: orders.id, actions: written.map(({ add }) => ({ add })) },
      { table: batches.id, actions: [{ add }] },
    ],
    state: [{ namespace: shop, operations: [move] }],
  }
  expectStatus(await client.post('/transactions', transaction), 201)
  return { value: next, version: version + 1 }
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      server: { type: 'string', default: 'http://127.0.0.1:8080' },
      shop: { type: 'string', default: 'shop' },
      input: { type: 'string', default: 'orders.ndjson' },
      batch: { type: 'string', default: '5' },
    },
  })
  return { ...values, batch: Number(values.batch) }
}
