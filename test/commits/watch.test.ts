import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Api, add } from '../support/api.ts'
import { openStream, type TestEvent } from '../support/event-stream.ts'
import { startTestServer } from '../support/server.ts'

const watch = (server: Api, table: string, query = '', headers = {}) =>
  openStream(`${server.address}/tables/${table}/watch${query}`, headers)

const versionsOf = (events: readonly TestEvent[]) => events.map(({ data }) => data.version)
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

async function commitSome(server: Api, table: string, count: number, more = {}): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const { status } = await server.commit(table, { actions: [add(crypto.randomUUID())], ...more })
    if (status !== 201) throw new Error(`status ${status}`)
  }
}

const gauge = async (server: Api) =>
  /^deltaworks_watchers (\d+)$/m.exec((await server.get('/metrics')).text)?.[1]

t.test('a watcher gets each commit that follows, as the history tells it', async (t) => {
  // No look comes by itself in the time of a test: what is seen was told by the committer.
  const server = await startTestServer(t, { watchPollMs: 600_000 })
  const table = await server.makeTable()
  await commitSome(server, table, 2)
  const reader = await watch(server, table)
  t.equal(await gauge(server), '1')
  await Promise.all([1, 2, 3].map(() => commitSome(server, table, 20)))
  const events = await reader.until(60)
  t.strictSame(versionsOf(events), range(3, 62))
  const { body } = await server.get(`/tables/${table}/commits?from=3`)
  t.strictSame(
    events.map(({ data }) => data),
    body.items.reverse(),
  )
  for (const { event, id, data } of events) t.strictSame([event, id], ['commit', `${data.version}`])
  reader.close()
  while ((await gauge(server)) !== '0') await sleep(5)
})

t.test('a watcher begins where it asks to', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  await commitSome(server, table, 250)
  const id = (version: number) => ({ 'last-event-id': String(version) })
  const cases: [query: string, headers: object, first: number][] = [
    ['?fromVersion=0', {}, 0],
    ['?fromVersion=100', {}, 100],
    ['', id(0), 1],
    ['', id(248), 249],
    ['?fromVersion=0', id(200), 201],
  ]
  for (const [query, headers, first] of cases) {
    const reader = await watch(server, table, query, headers)
    t.strictSame(versionsOf(await reader.until(251 - first)), range(first, 250))
    reader.close()
  }
  const atHead = [
    await watch(server, table, '', id(250)),
    await watch(server, table, '?fromVersion=251'),
    await watch(server, table),
  ]
  await commitSome(server, table, 1)
  for (const reader of atHead) t.strictSame(versionsOf(await reader.until(1)), [251])
  for (const reader of atHead) reader.close()
})

t.test('a watcher that takes compressed answers gets the same', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  await commitSome(server, table, 250)
  const texts = ['identity', 'deflate'].map(async (encoding) => {
    const { body, headers } = await fetch(`${server.address}/tables/${table}/watch?fromVersion=0`, {
      headers: { 'accept-encoding': encoding },
    })
    if (body === null) throw new Error('there is a stream')
    t.equal(headers.get('content-encoding'), encoding === 'deflate' ? 'deflate' : null)
    let text = ''
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      text += part
      if (text.includes('\nid: 250\n') && text.endsWith('\n\n')) break
    }
    return text
  })
  const [plain, deflated] = await Promise.all(texts)
  t.equal(plain?.match(/^event: commit$/gm)?.length, 251)
  t.equal(deflated, plain)
})

t.test('a place that cannot be is refused', async (t) => {
  const server = await startTestServer(t, { watchersMax: 1 })
  const table = await server.makeTable()
  const path = `/tables/${table}/watch`
  for (const value of ['x', '-1', '1.5', '5, 6', '9007199254740993']) {
    t.match(await server.get(path, { 'last-event-id': value }), {
      status: 400,
      body: { code: 'invalid-request', errors: [{ pointer: '/headers/last-event-id' }] },
    })
  }
  t.match(await server.get(`${path}?fromVersion=x`), { status: 400 })
  const beyond = { status: 404, body: { code: 'version-not-found', currentVersion: 0 } }
  t.match(await server.get(path, { 'last-event-id': '1' }), beyond)
  t.match(await server.get(`${path}?fromVersion=2`), beyond)
  t.match(await server.get('/tables/no.such/watch'), { status: 404 })
  t.match(await server.get(path, { 'read-preference': 'moon' }), { status: 400 })
  const reader = await watch(server, table)
  const refused = await server.get(path)
  t.match(refused, { status: 429, body: { code: 'overloaded' } })
  t.ok(refused.headers.get('retry-after'))
  reader.close()
  while ((await gauge(server)) !== '0') await sleep(5)
  t.equal((await server.get(path)).status, 200)
})

t.test('commits of another server are seen', async (t) => {
  const server = await startTestServer(t, { watchPollMs: 20 })
  const other = await startTestServer(t, {}, { beside: server })
  const table = await server.makeTable()
  const reader = await watch(server, table)
  await Promise.all([commitSome(server, table, 20), commitSome(other, table, 20)])
  t.strictSame(versionsOf(await reader.until(40)), range(1, 40))
  reader.close()
})

t.test('a stream ends with the drop of its table, after all commits', async (t) => {
  const server = await startTestServer(t, { watchPollMs: 20 })
  const table = await server.makeTable()
  const reader = await watch(server, table, '?fromVersion=0')
  await commitSome(server, table, 3)
  const { body } = await server.call('DELETE', `/tables/${table}`)
  t.equal(await reader.over, true)
  t.strictSame(versionsOf(reader.events.slice(0, -1)), [0, 1, 2, 3])
  const { droppedAt } = body
  t.strictSame(reader.events.at(-1), { event: 'dropped', data: { tableId: table, droppedAt } })
  const late = await watch(server, table, '', { 'last-event-id': '2' })
  t.equal(await late.over, true)
  t.strictSame(
    late.events.map(({ event, id }) => id ?? event),
    ['3', 'dropped'],
  )
  await server.post(`/tables/${table}/undrop`)
  const again = await watch(server, table)
  await commitSome(server, table, 1)
  t.strictSame(versionsOf(await again.until(1)), [4])
  again.close()
})

t.test('a thousand watchers each get every commit, and commits go on', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const readers = await Promise.all(range(1, 1000).map(() => watch(server, table)))
  t.equal(await gauge(server), '1000')
  await Promise.all([1, 2, 3, 4].map(() => commitSome(server, table, 25)))
  for (const reader of readers) {
    t.strictSame(versionsOf(await reader.until(100)), range(1, 100))
    reader.close()
  }
})

t.test('a watcher that hangs is cut off, holds nobody up, and goes on later', async (t) => {
  const server = await startTestServer(t, { watchBlockedMsMax: 300 })
  const table = await server.makeTable()
  const hanging = await watch(server, table)
  hanging.hang()
  const reader = await watch(server, table)
  await commitSome(server, table, 30, {
    operationParameters: { note: 'x'.repeat(2 ** 20) },
  })
  t.strictSame(versionsOf(await reader.until(30)), range(1, 30))
  reader.close()
  while ((await gauge(server)) !== '0') await sleep(20)
  const got = versionsOf(hanging.events)
  const lastEventId = String(got.at(-1) ?? 0)
  const resumed = await watch(server, table, '', { 'last-event-id': lastEventId })
  const rest = versionsOf(await resumed.until(30 - got.length))
  t.strictSame([...got, ...rest], range(1, 30))
  resumed.close()
})
