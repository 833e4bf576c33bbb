import type { Column, Row } from './parquet.ts'

const column = (name: string, type: string, nullable = true): Column => ({
  name,
  type,
  nullable,
  metadata: {},
})

/** The columns of the demo's table at first: one of each common type. */
export const orderColumns: readonly Column[] = [
  column('id', 'long', false),
  column('day', 'date'),
  column('region', 'string'),
  column('amount', 'decimal(10,2)'),
  column('quantity', 'integer'),
  column('weight', 'double'),
  column('express', 'boolean'),
  column('deliver_on', 'date'),
  column('ordered_at', 'timestamp'),
  column('tracking', 'long'),
  column('note', 'string'),
]

/** The column that the schema change adds. */
export const couponColumn = column('coupon', 'string')

export const partitionColumns = ['day', 'region']

const days = ['2026-11-18', '2026-11-19'] as const
const regions = ['Zeeland', 'North Sea', null] as const
const notes = [null, 'Leave it with Zoë', '', '水门 3']
const ordersOfABatch = 4

/** Tracking numbers lie around 2^53, where a double can no longer tell them apart. */
const firstTracking = 2n ** 53n - 8n

/** The orders that shop `shop` takes in its `batch`-th batch; the same at every run. */
export function placeOrders(shop: number, batch: number): Row[] {
  return Array.from({ length: ordersOfABatch }, (_, n) => {
    const serial = (shop * 10 + batch) * 10 + n
    const day = days[batch % days.length] ?? days[0]
    const hasDate = serial % 4 !== 3
    return {
      id: String(serial),
      day,
      region: regions[(shop + n) % regions.length] ?? null,
      amount: `${(serial * 7) % 90}.${String((serial * 13) % 100).padStart(2, '0')}`,
      quantity: 1 + (serial % 5),
      weight: serial % 6 === 5 ? null : serial / 8,
      express: serial % 3 === 0,
      deliver_on: hasDate ? `2026-12-${String(1 + (serial % 28)).padStart(2, '0')}` : null,
      ordered_at: `${day}T08:${String(serial % 60).padStart(2, '0')}:00.${String(serial * 1001).padStart(6, '0')}Z`,
      tracking: String(firstTracking + BigInt(serial % 16)),
      note: notes[serial % notes.length] ?? null,
    }
  })
}
