import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openStream, type TestEvent } from '../support/event-stream.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, type ServerProcess, startServerProcess } from '../support/process.ts'

const returnsMax = 1000
const kills = 3

/** Publishes to whichever server answers, until it is told to end; answers what was published for sure. */
async function publishUntil(addresses: readonly string[], isOver: () => boolean) {
  const sure = new Map<number, number>()
  for (let number = 0; !isOver(); number += 1) {
    const address = addresses[number % addresses.length]
    const answer = await fetch(`${address}/events/followed`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: String(number),
    }).catch(() => undefined)
    if (answer?.status === 201) sure.set(((await answer.json()) as { event: number }).event, number)
    else await sleep(20)
  }
  return sure
}

t.test(
  'a watcher that comes back a thousand times, while servers are killed, misses nothing and sees nothing twice',
  async (t) => {
    const database = await createTestDatabase()
    t.teardown(() => database.drop())
    const settings = async () => ({
      DATABASE_URL: database.url,
      DATA_DIR: await makeDataDir(t),
      WATCH_POLL_MS: '20',
    })
    const grounds = [await settings(), await settings()]
    const servers = await Promise.all(
      grounds.map((ground) => startServerProcess(t, { ...ground, PORT: '0' })),
    )
    const addresses = servers.map(({ address }) => address)
    let returns = 0
    let killed = 0
    const isOver = () => returns >= returnsMax && killed >= kills
    const publishing = [0, 1, 2].map(() => publishUntil(addresses, isOver))
    const killing = (async () => {
      for (; killed < kills; killed += 1) {
        await sleep(700)
        const at = killed % servers.length
        const PORT = new URL(addresses[at] ?? '').port
        await (servers[at] as ServerProcess).kill()
        servers[at] = await startServerProcess(t, { ...(grounds[at] ?? {}), PORT })
      }
    })()
    const got: TestEvent[] = []
    let lastEventId = '0'
    const follow = async (isDone: (events: readonly TestEvent[]) => boolean) => {
      const address = addresses[returns % addresses.length]
      const reader = await openStream(`${address}/events/followed`, {
        'last-event-id': lastEventId,
      }).catch(() => undefined)
      if (reader === undefined) return sleep(10)
      const limit = sleep(500)
      for (let seen = 1; !isDone(reader.events); seen += 1) {
        const isOver = await Promise.race([reader.until(seen), reader.over, limit])
        if (!Array.isArray(isOver)) break
      }
      reader.close()
      got.push(...reader.events.filter(({ event }) => event !== 'bookmark'))
      lastEventId = reader.events.at(-1)?.id ?? lastEventId
      returns += 1
    }
    while (!isOver()) await follow(({ length }) => length > returns % 4)
    const published = await Promise.all(publishing)
    await killing
    const sure = new Map(published.flatMap((some) => [...some]))
    const last = Math.max(...sure.keys())
    while (Number(lastEventId) < last) await follow((events) => Number(events.at(-1)?.id) >= last)
    t.strictSame(
      got.map(({ data }) => data.event),
      Array.from({ length: got.length }, (_, index) => index + 1),
    )
    const payloads = new Map(got.map(({ data }) => [data.event, data.payload]))
    t.strictSame(
      [...sure].filter(([event, payload]) => payloads.get(event) !== payload),
      [],
      'what was answered was sent, with that number',
    )
    t.comment(`${got.length} events over ${returns} connections`)
    for (const server of servers) t.strictSame(await server.stop(), { code: 0, signal: null })
  },
)
