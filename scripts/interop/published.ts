import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../demo/client.ts'

/** Waits until all commits of a table, named by id or by name, stand in its log. */
export async function published(client: Client, table: string): Promise<void> {
  for (;;) {
    const { state } = await client.get<{ state: string }>(`/tables/${table}/mirror`)
    if (state === 'current') return
    await sleep(50)
  }
}
