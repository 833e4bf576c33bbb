import { sql } from 'kysely'
import t from 'tap'
import { expiredEvents } from '../../src/events/expiry.ts'
import { createPublications } from '../../src/events/publications.ts'
import { openStream, type TestEvent, type TestStream } from '../support/event-stream.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { watchBookmarkMs: 50 }, { mirror: false })
const { db } = server

const pathOf = (channel: string) => `/events/${encodeURIComponent(channel)}`

async function publish(channel: string, payload: unknown): Promise<number> {
  const { status, body, text } = await server.post(pathOf(channel), payload)
  if (status !== 201) throw new Error(text)
  return body.event
}

/** Publishes as requests do that come at once. */
async function publishAll(channel: string, payloads: readonly unknown[]): Promise<void> {
  const publications = createPublications({
    db,
    queueMax: payloads.length,
    onPublished: () => {},
  })
  await Promise.all(
    payloads.map((payload) =>
      publications.submit({ channel, kind: 'message', payload: JSON.stringify(payload) }),
    ),
  )
}

function watch(channel: string, query = '', headers: Record<string, string> = {}) {
  return openStream(`${server.address}${pathOf(channel)}${query}`, headers)
}

const isPublished = ({ event }: TestEvent) => event !== 'bookmark'

/** All but bookmarks, once the event of this number is here, or a bookmark of it. */
async function readTo(stream: TestStream, event: number): Promise<TestEvent[]> {
  return (await stream.untilId(String(event))).filter(isPublished)
}

const payloadsOf = (events: readonly TestEvent[]) => events.map(({ data }) => data.payload)
const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, at) => from + at)

t.test('what is published comes to all who watch, in order and token for token', async (t) => {
  const [first, second] = [await watch('a/b c'), await watch('a/b c')]
  t.strictSame(await first.until(1), [{ event: 'bookmark', id: '0', data: { event: 0 } }])
  const raw = ' {"n": 1.000000000000000000001,\r\n "n2":12345678901234567890,"t":"\\u0000\\n"}\n'
  const answer = await server.call('POST', `${pathOf('a/b c')}?kind=order.paid`, {
    raw,
    headers: { 'content-type': 'application/json' },
  })
  t.match(answer, { status: 201, body: { channel: 'a/b c', event: 1 } })
  t.match(answer.headers.get('consistency-token'), /^[0-9A-F]+\/[0-9A-F]+$/)
  for (const payload of [null, false, 0, '', [], 'text', { a: [{}] }]) {
    await publish('a/b c', payload)
  }
  for (const reader of [first, second]) {
    const events = await readTo(reader, 8)
    t.strictSame(
      events.map(({ event, id }) => [event, id]),
      numbers(8).map((id) => [id === 1 ? 'order.paid' : 'message', String(id)]),
    )
    t.equal(events[0]?.data.createdAt, answer.body.createdAt)
    t.strictSame(payloadsOf(events).slice(1), [null, false, 0, '', [], 'text', { a: [{}] }])
    reader.close()
  }
  const { rows } = await sql<{ payload: string }>`
    select payload from events where subject_id = (select id from channels where name = 'a/b c')
    order by event`.execute(db)
  t.equal(
    rows[0]?.payload,
    '{"n":1.000000000000000000001,"n2":12345678901234567890,"t":"\\u0000\\n"}',
  )
})

t.test('a watcher goes on behind the last that it has got', async (t) => {
  for (const number of numbers(5)) await publish('resumed', number)
  for (const [query, headers, first] of [
    ['?fromEvent=1', {}, 1],
    ['?fromEvent=4', {}, 4],
    ['', { 'last-event-id': '0' }, 1],
    ['?fromEvent=1', { 'last-event-id': '3' }, 4],
    ['?fromEvent=6', {}, 6],
    ['', {}, 6],
  ] as const) {
    const reader = await watch('resumed', query, headers)
    const events = await readTo(reader, 5)
    t.strictSame(payloadsOf(events), numbers(6 - first, first))
    reader.close()
  }
  const early = await watch('early', '?fromEvent=1')
  await early.untilId('0')
  const [seen] = early.events
  early.close()
  await publish('early', 'while it was away')
  const back = await watch('early', '', { 'last-event-id': seen?.id ?? '' })
  t.strictSame(payloadsOf(await readTo(back, 1)), ['while it was away'])
  back.close()
})

t.test('a place that cannot be is refused', async (t) => {
  await publish('refused', 1)
  for (const value of ['x', '-1', '1.5', '1, 2', '1'.repeat(17)]) {
    t.match(await server.get('/events/refused', { 'last-event-id': value }), {
      status: 400,
      body: { code: 'invalid-request', errors: [{ pointer: '/headers/last-event-id' }] },
    })
  }
  for (const query of ['fromEvent=0', 'fromEvent=x', 'unknown=1']) {
    t.match(await server.get(`/events/refused?${query}`), { status: 400 })
  }
  const beyond = { status: 404, body: { code: 'event-not-found', currentEvent: 1 } }
  t.match(await server.get('/events/refused', { 'last-event-id': '2' }), beyond)
  t.match(await server.get('/events/refused?fromEvent=3'), beyond)
  t.match(await server.get('/events/nobody?fromEvent=2'), {
    status: 404,
    body: { currentEvent: 0 },
  })
})

/** Lets all that was published to a channel so far outlive its time, up to a number. */
async function age(channel: string, upTo: number): Promise<void> {
  await sql`
    update events set created_at = created_at - interval '1 hour'
    where event <= ${upTo} and subject_id = (select id from channels where name = ${channel})`.execute(
    db,
  )
}

async function sweepAll(): Promise<number> {
  const { sweep } = expiredEvents(db, 1_800_000)
  let removed = 0
  for (let some = await sweep(); some > 0; some = await sweep()) {
    if (some > 1000) throw new Error(`${some} events were removed at once`)
    removed += some
  }
  return removed
}

t.test(
  'what has outlived its time is gone, and who asks for it is told what is left',
  async (t) => {
    await publishAll('kept', numbers(1500))
    await age('kept', 1200)
    t.equal(await sweepAll(), 1200)
    const gone = (historyFrom: number) => ({
      status: 410,
      body: { code: 'events-compacted', historyFrom },
    })
    t.match(await server.get('/events/kept?fromEvent=1'), gone(1201))
    t.match(await server.get('/events/kept', { 'last-event-id': '1199' }), gone(1201))
    const reader = await watch('kept', '', { 'last-event-id': '1200' })
    t.strictSame((await readTo(reader, 1500)).length, 300)
    await age('kept', 1500)
    t.equal(await sweepAll(), 300)
    t.match(await server.get('/events/kept?fromEvent=1500'), gone(1501))
    t.equal(await publish('kept', 'numbers go on'), 1501)
    t.strictSame(payloadsOf(await readTo(reader, 1501)).slice(300), ['numbers go on'])
    reader.close()
  },
)

t.test('a reader that hangs holds nobody up, and loses nothing or is told', async (t) => {
  // So large that no page of it is kept for whoever comes later.
  const payload = 'x'.repeat(1024 * 1024 - 40)
  const count = 16
  const hanging = [await watch('hung'), await watch('hung')]
  for (const one of hanging) one.hang()
  const reader = await watch('hung')
  for (const number of numbers(count)) await publish('hung', { number, payload })
  t.equal((await readTo(reader, count)).length, count)
  const [first, second] = hanging as [TestStream, TestStream]
  first.goOn()
  t.strictSame(
    (await readTo(first, count)).map(({ data }) => data.payload.number),
    numbers(count),
  )
  await age('hung', count)
  await sweepAll()
  second.goOn()
  t.equal(await second.over, true)
  const got = second.events.filter(isPublished)
  t.strictSame(got.pop(), { event: 'compacted', data: { historyFrom: count + 1 } })
  t.ok(got.length < count)
  t.strictSame(
    got.map(({ id }) => Number(id)),
    numbers(got.length),
  )
  for (const one of [reader, first]) one.close()
})

t.test(
  'a watcher that comes back again and again misses nothing and sees nothing twice',
  async (t) => {
    const beside = await startTestServer(t, { watchPollMs: 20 }, { beside: server, mirror: false })
    const addresses = [server.address, beside.address]
    const [returnsMax, total] = [60, 180]
    let returns = 0
    let published = 0
    const publishing = (async () => {
      while (published < total || returns < returnsMax) {
        const { post } = published % 2 === 0 ? server : beside
        await Promise.all(numbers(3).map((at) => post('/events/restless', { at, published })))
        published += 3
      }
    })()
    const got: TestEvent[] = []
    let lastEventId = '0'
    for (; returns < returnsMax; returns += 1) {
      const address = addresses[returns % 2]
      const reader = await openStream(`${address}/events/restless`, {
        'last-event-id': lastEventId,
      })
      await reader.until(1 + (returns % 4))
      reader.close()
      got.push(...reader.events.filter(isPublished))
      lastEventId = reader.events.at(-1)?.id ?? lastEventId
    }
    await publishing
    const last = await watch('restless', '', { 'last-event-id': lastEventId })
    got.push(...(await readTo(last, published)))
    last.close()
    t.strictSame(
      got.map(({ data }) => data.event),
      numbers(published),
    )
    const payloads = got.map(({ data }) => `${data.payload.published}/${data.payload.at}`)
    t.equal(new Set(payloads).size, published, 'each publication is one event')
  },
)

t.test('publications of two servers are seen at both, in one order', async (t) => {
  const beside = await startTestServer(t, { watchPollMs: 20 }, { beside: server, mirror: false })
  const readers = [server, beside].map(({ address }) => openStream(`${address}/events/shared`))
  const [first, second] = await Promise.all(readers)
  await Promise.all(
    numbers(200).map((number) =>
      (number % 2 === 0 ? server : beside).post('/events/shared', number),
    ),
  )
  const orders = []
  for (const reader of [first, second]) {
    const events = await readTo(reader as TestStream, 200)
    t.strictSame(
      events.map(({ id }) => Number(id)),
      numbers(200),
    )
    orders.push(payloadsOf(events))
    reader?.close()
  }
  t.strictSame(orders[0], orders[1])
  t.strictSame(
    orders[0]?.toSorted((a, b) => a - b),
    numbers(200),
  )
})
