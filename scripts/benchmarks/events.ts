import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Benchmark } from './benchmark.ts'
import { runLoad } from './http-load.ts'
import { percentile } from './waits.ts'

const watchersCount = 1000
const perSecond = 1000
const milliseconds = 5000
const connections = 32
/** Of so many watchers one looks into what it receives: those that look take time from those who are measured. */
const sampledOf = 20
const deliveryMsMax = 30_000

/** A thousand events a second to a thousand watchers: of a hundred channels, and all of them of one. */
export const events: Benchmark = {
  bar: '1,000 watchers, 1,000 events a second: p99 of the delivery under 50 ms',
  prepare: async () => [],
  async round({ address }, _prepared, number) {
    const results: Record<string, number> = {}
    for (const channels of [100, 1]) {
      const names = Array.from({ length: channels }, (_, at) => `${number}-${channels}-${at}`)
      const told = channels === 1 ? '1 channel' : `${channels} channels`
      for (const [name, value] of Object.entries(await deliver(address, names))) {
        results[`${told}, ${name}`] = value
      }
    }
    return results
  },
}

async function deliver(address: string, channels: readonly string[]) {
  const watchers = await Promise.all(
    Array.from({ length: watchersCount }, (_, at) => {
      const channel = channels[at % channels.length] ?? ''
      return openWatch({
        address,
        channel,
        isSampled: Math.floor(at / channels.length) % sampledOf === 0,
      })
    }),
  )
  const published = new Map<string, number>()
  const { perSecond: rate, p99Ms } = await runLoad({
    address,
    connections,
    milliseconds,
    perSecond,
    request(connection, count) {
      const at = count * connections + connection
      const channel = channels[at % channels.length] ?? ''
      return { path: `/events/${channel}`, body: `{"sent":${performance.now()}}` }
    },
    answered(_connection, { status, body }) {
      if (status !== 201) throw new Error(body)
      const { channel, event } = JSON.parse(body)
      published.set(channel, Math.max(event, published.get(channel) ?? 0))
    },
  })
  const deadline = performance.now() + deliveryMsMax
  for (const watcher of watchers) {
    while (watcher.last() < (published.get(watcher.channel) ?? 0)) {
      if (performance.now() > deadline)
        throw new Error('a watcher did not get all that was published')
      await sleep(10)
    }
    watcher.close()
  }
  const delays = watchers.flatMap((watcher) => watcher.delays)
  const bytes = watchers.reduce((sum, watcher) => sum + watcher.received(), 0)
  return {
    'published, /s': rate,
    'publishing, p99 ms': p99Ms,
    'sent MB/s': bytes / milliseconds / 1000,
    'delivery, p50 ms': percentile(delays, 0.5),
    'delivery, p99 ms': percentile(delays, 0.99),
    'delivery, longest ms': percentile(delays, 1),
  }
}

/** A watcher that notes how long what it receives was under way, if it is sampled, or else looks at the end of it alone. */
async function openWatch(of: { address: string; channel: string; isSampled: boolean }) {
  const { hostname, port } = new URL(of.address)
  const socket: Socket = connect({ host: hostname, port: Number(port) })
  const delays: number[] = []
  let bytes = 0
  let unread = ''
  /** The end of all that came. */
  let tail = ''
  const begun = new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.on('data', (chunk) => {
      bytes += chunk.length
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - tailMax))).slice(-tailMax)
      if (of.isSampled) {
        const now = performance.now()
        const text = unread + chunk.toString('latin1')
        const end = text.lastIndexOf('\n\n') + 2
        for (const [, sent] of text.slice(0, end).matchAll(/"sent":([\d.]+)/g)) {
          delays.push(now - Number(sent))
        }
        unread = text.slice(end)
      }
      resolve()
    })
  })
  socket.write(`GET /events/${of.channel} HTTP/1.1\r\nHost: bench\r\n\r\n`)
  await begun
  return {
    channel: of.channel,
    delays,
    received: () => bytes,
    /** The last event that it received. */
    last: () => Number(tail.slice(tail.lastIndexOf('id: ')).match(/\d+/)?.[0] ?? 0),
    close: () => socket.destroy(),
  }
}

const tailMax = 300
