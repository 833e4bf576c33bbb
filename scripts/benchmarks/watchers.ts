import { connect } from 'node:net'
import { addOf } from './bare-database.ts'
import type { Benchmark } from './benchmark.ts'
import { makeTables } from './commits.ts'
import { runLoad } from './http-load.ts'

const watchersCount = 1000
const connections = 32
const milliseconds = 5000

/** Commits of one file each to one table: unwatched, and with many who watch it, in plain text and compressed. */
export const watchers: Benchmark = {
  bar: 'a thousand watchers of one table leave most of its rate',
  prepare: (ground) => makeTables(ground, 1),
  async round({ address }, [table = ''], number) {
    const load = (name: string) =>
      runLoad({
        address,
        connections,
        milliseconds,
        request: (connection, sent) => ({
          path: `/tables/${table}/commits`,
          body: JSON.stringify({
            actions: [{ add: addOf(`${name}-${number}-${connection}-${sent}`) }],
          }),
        }),
      })
    const alone = await load('alone')
    const results: Record<string, number> = {
      'unwatched, /s': alone.perSecond,
      'unwatched, p99 ms': alone.p99Ms,
    }
    for (const encoding of ['identity', 'deflate']) {
      const streams = await Promise.all(
        Array.from({ length: watchersCount }, () => openWatch({ address, table, encoding })),
      )
      const { perSecond, p99Ms } = await load(encoding)
      const bytes = streams.reduce((sum, stream) => sum + stream.received(), 0)
      for (const stream of streams) stream.close()
      results[`${encoding}, /s`] = perSecond
      results[`${encoding}, p99 ms`] = p99Ms
      results[`${encoding}, sent MB/s`] = bytes / milliseconds / 1000
      results[`${encoding}, × unwatched`] = perSecond / alone.perSecond
    }
    return results
  },
}

/** A watcher that counts what it receives, and looks at none of it. */
async function openWatch(of: { address: string; table: string; encoding: string }) {
  const { hostname, port } = new URL(of.address)
  const socket = connect({ host: hostname, port: Number(port) })
  let bytes = 0
  const begun = new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve())
    socket.once('error', reject)
  })
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  socket.write(
    `GET /tables/${of.table}/watch HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: ${of.encoding}\r\n\r\n`,
  )
  await begun
  return { received: () => bytes, close: () => socket.destroy() }
}
