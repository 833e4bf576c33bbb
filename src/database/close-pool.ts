import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Pool } from './connect.ts'

const graceMs = 1000

/**
 * Answers how to close a pool that was just made so that it ends for certain: who does not say good-bye within a second,
 * as a host that hangs, is broken off, with all that waits for him.
 */
export function closerOf(pool: Pool): () => Promise<void> {
  const open = new Set<object>()
  pool.on('connect', (client: EventEmitter) => {
    open.add(client)
    client.once('end', () => open.delete(client))
  })
  return async () => {
    const timer = setTimeout(() => {
      for (const client of open) streamOf(client).destroy()
    }, graceMs)
    await pool.end()
    if (open.size === 0) clearTimeout(timer)
  }
}

function streamOf(client: object): Duplex {
  return (client as { connection: { stream: Duplex } }).connection.stream
}
