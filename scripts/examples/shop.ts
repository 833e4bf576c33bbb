import { type Client, expectStatus } from '../demo/client.ts'
import {
  type AddFile,
  readDataFile,
  type TableLayout,
  writeDataFile,
  writeDataFiles,
} from '../demo/data-files.ts'
import type { Column, Row } from '../demo/parquet.ts'
import { removeOf } from '../demo/stage.ts'

const column = (name: string, type: string): Column => ({
  name,
  type,
  nullable: true,
  metadata: {},
})

/** The tables that the pipeline fills, without their locations. */
export const shopTables = {
  /** Every order. */
  orders: {
    columns: [
      column('id', 'long'),
      column('day', 'date'),
      column('region', 'string'),
      column('amount', 'decimal(10,2)'),
      column('quantity', 'integer'),
    ],
    partitionColumns: ['day'],
  },
  /** What the orders come to, by region; written anew with every batch. */
  totals: {
    columns: [column('region', 'string'), column('orders', 'long'), column('quantity', 'long')],
    partitionColumns: [],
  },
  /** Which batches were loaded. */
  batches: {
    columns: [column('batch', 'long'), column('orders', 'long')],
    partitionColumns: [],
  },
}

type ShopTable = TableLayout & { id: string }
export type Shop = Record<keyof typeof shopTables, ShopTable>

/** Makes the tables, or finds those that were made before. */
export async function openShop(client: Client, name: string): Promise<Shop> {
  return {
    orders: await openTable(client, name, 'orders'),
    totals: await openTable(client, name, 'totals'),
    batches: await openTable(client, name, 'batches'),
  }
}

/** Makes one of the tables of a shop, or finds it. */
export async function openTable(
  client: Client,
  shop: string,
  table: keyof Shop,
): Promise<ShopTable> {
  const { columns, partitionColumns } = shopTables[table]
  const definition = {
    name: `${shop}.${table}`,
    schema: { type: 'struct', fields: columns },
    partitionColumns,
  }
  const made = await client.post<Pick<ShopTable, 'id' | 'location'>>('/tables', definition)
  const isThere = 'code' in made.body && made.body.code === 'table-name-taken'
  const { id, location } = isThere
    ? await client.get<Pick<ShopTable, 'id' | 'location'>>(`/tables/${definition.name}`)
    : expectStatus(made, 201).body
  return { id, location, columns, partitionColumns }
}

/** The number of a run, as a proposal takes it. */
export interface Pair {
  appId: string
  version: number
}

/** What became of a table of a transaction. */
export interface Loaded {
  status: 'committed' | 'duplicate'
  version: number
}

/**
 * Loads the batch of a number into all tables, in one transaction. The files have names of their own at every attempt, so
 * none that was committed is ever written over; those of an attempt that came to nothing belong to no table.
 */
export async function loadBatch(client: Client, shop: Shop, idempotency: Pair): Promise<Loaded[]> {
  const orders = placeOrders(idempotency.version)
  const { version: readVersion, files, rows } = await readTotals(client, shop.totals)
  const written = await writeDataFiles(shop.orders, orders)
  const totals = await writeDataFile(shop.totals, addUp(rows, orders))
  const batch = { batch: String(idempotency.version), orders: String(orders.length) }
  const loaded = await writeDataFile(shop.batches, [batch])
  const share = { idempotency, operation: 'WRITE' }
  const transaction = {
    commit: true,
    label: `batch ${idempotency.version}`,
    tables: [
      { table: shop.orders.id, ...share, actions: written.map(({ add }) => ({ add })) },
      {
        table: shop.totals.id,
        ...share,
        readVersion,
        reads: { wholeTable: true },
        actions: [...files.map((file) => removeOf(file, true)), { add: totals.add }],
      },
      { table: shop.batches.id, ...share, actions: [{ add: loaded.add }] },
    ],
  }
  const answer = await client.post<{ tables: Loaded[] }>('/transactions', transaction)
  return expectStatus(answer, 201).body.tables
}

/** The live files of the totals, and their rows, at the newest version. */
async function readTotals(client: Client, totals: ShopTable) {
  const path = `/tables/${totals.id}`
  const { version } = await client.get<{ version: number }>(path)
  const { items } = await client.get<{ items: { add: AddFile }[] }>(
    `${path}/files?version=${version}`,
  )
  const files = items.map(({ add }) => add)
  const rows = await Promise.all(files.map((file) => readDataFile(totals, file)))
  return { version, files, rows: rows.flat() }
}

const regions = ['north', 'east', 'south', 'west'] as const

/** The orders of a batch; the same whenever they are asked for, as those of a file or an offset would be. */
export function placeOrders(batch: number): Row[] {
  return Array.from({ length: 4 + (batch % 3) }, (_, at) => {
    const id = batch * 10 + at
    return {
      id: String(id),
      day: `2026-11-${String(1 + (batch % 3)).padStart(2, '0')}`,
      region: regions[(batch + at) % regions.length] ?? null,
      amount: `${(id * 7) % 90}.${String((id * 13) % 100).padStart(2, '0')}`,
      quantity: 1 + (id % 5),
    }
  })
}

/** The totals with orders added, by region. */
function addUp(totals: readonly Row[], orders: readonly Row[]): Row[] {
  return regions.map((region) => {
    const before = totals.find((row) => row['region'] === region)
    const own = orders.filter((order) => order['region'] === region)
    const quantity = own.reduce((sum, order) => sum + Number(order['quantity']), 0)
    return {
      region,
      orders: String(Number(before?.['orders'] ?? 0) + own.length),
      quantity: String(Number(before?.['quantity'] ?? 0) + quantity),
    }
  })
}
