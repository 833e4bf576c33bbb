import { sql } from 'kysely'
import t from 'tap'
import { createPublications } from '../../src/events/publications.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db } = server

async function eventsOf(channel: string) {
  const { rows } = await sql<{ event: number; payload: string }>`
    select event, payload from events
    where subject_id = (select id from channels where name = ${channel})
    order by event`.execute(db)
  return rows
}

const json = { 'content-type': 'application/json' }

t.test('what is published is numbered from 1, by channel', async (t) => {
  t.match(await server.post('/events/one', { a: 1 }), {
    status: 201,
    body: { channel: 'one', event: 1, createdAt: String },
  })
  t.match(await server.post('/events/one', { a: 2 }), { body: { event: 2 } })
  t.match(await server.post('/events/two', { a: 1 }), { body: { event: 1 } })
})

t.test('a payload of a mebibyte is taken, and no larger one', async (t) => {
  const raw = `"${'x'.repeat(1024 * 1024 - 2)}"`
  t.match(await server.call('POST', '/events/large', { raw, headers: json }), { status: 201 })
  const [kept] = await eventsOf('large')
  t.ok(kept?.payload === raw)
  t.match(await server.call('POST', '/events/large', { raw: `${raw} `, headers: json }), {
    status: 413,
    body: { code: 'body-too-large', maxBytes: 1024 * 1024 },
  })
})

t.test('a key applies once', async (t) => {
  const headers = { 'idempotency-key': 'event-1' }
  const first = await server.post('/events/once', { n: 1 }, headers)
  t.match(first, { status: 201, body: { event: 1 } })
  const again = await server.post('/events/once', { n: 1 }, headers)
  t.equal(again.text, first.text)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.match(await server.post('/events/once', { n: 2 }, headers), {
    status: 422,
    body: { code: 'idempotency-key-reused' },
  })
  t.match(await server.post('/events/once', { n: 2 }), { body: { event: 2 } })
  t.equal((await eventsOf('once')).length, 2)
})

t.test('bad input is refused, and publishes nothing', async (t) => {
  const wrong = [
    { raw: '{"a":', headers: json, code: 'invalid-json', status: 400 },
    { raw: '', headers: json, code: 'invalid-request', status: 400 },
    { raw: '{"a":1,"a":2}', headers: json, code: 'invalid-request', status: 400 },
    { raw: '"\\ud800"', headers: json, code: 'invalid-request', status: 400 },
    {
      raw: 'a',
      headers: { 'content-type': 'text/plain' },
      code: 'unsupported-media-type',
      status: 415,
    },
  ]
  for (const { raw, headers, code, status } of wrong) {
    t.match(await server.call('POST', '/events/wrong', { raw, headers }), {
      status,
      body: { code },
    })
  }
  for (const kind of ['', ' ', '1a', 'a b', 'a%0Ab', 'bookmark', 'compacted', 'x'.repeat(101)]) {
    t.match(await server.post(`/events/wrong?kind=${kind}`, 1), {
      status: 400,
      body: { code: 'invalid-request', errors: [{ pointer: '/query/kind' }] },
    })
  }
  for (const channel of ['%00', 'x'.repeat(513)]) {
    t.match(await server.post(`/events/${channel}`, 1), { status: 400 })
  }
  t.strictSame(await eventsOf('wrong'), [])
  const { rows } = await sql`select from channels where name = 'wrong'`.execute(db)
  t.equal(rows.length, 0)
})

t.test('concurrent publications go together, in the order in which they came', async (t) => {
  const told: string[][] = []
  const publications = createPublications({
    db,
    queueMax: 50,
    onPublished: (events) => told.push(events.map(({ channel }) => channel)),
  })
  const submit = (channel: string, number: number) =>
    publications.submit({ channel, kind: 'message', payload: String(number) })
  const first = Array.from({ length: 50 }, (_, number) => submit(`many${number % 3}`, number))
  t.throws(() => submit('many0', 50), { code: 'overloaded' })
  const published = await Promise.all(first)
  t.strictSame(
    published.map(({ event }) => [event.channel, event.event]),
    Array.from({ length: 50 }, (_, number) => [`many${number % 3}`, 1 + Math.floor(number / 3)]),
  )
  t.strictSame(told, [published.map(({ event }) => event.channel)])
  t.strictSame(
    (await eventsOf('many1')).map(({ payload }) => Number(payload)),
    Array.from({ length: 17 }, (_, index) => 1 + 3 * index),
  )
  const { rows } = await sql<{ batches: number }>`
    select count(distinct e.xmin::text)::int as batches from events e
    join channels c on c.id = e.subject_id where c.name like 'many%'`.execute(db)
  t.strictSame(rows, [{ batches: 1 }])
})

t.test('large payloads are not gathered without end', async (t) => {
  const payload = JSON.stringify('x'.repeat(1_000_000))
  const told: number[] = []
  const publications = createPublications({ db, queueMax: 50, onPublished: () => told.push(1) })
  await Promise.all(
    Array.from({ length: 12 }, () =>
      publications.submit({ channel: 'big', kind: 'message', payload }),
    ),
  )
  t.equal(told.length, 3)
})

t.test('channels in opposite orders at two servers do not wait in a circle', async (t) => {
  const beside = await startTestServer(t, {}, { beside: server, mirror: false })
  const channels = Array.from({ length: 20 }, (_, index) => `circle${index}`)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => [
      ...channels.map((channel) => server.post(`/events/${channel}`, 1)),
      ...channels.toReversed().map((channel) => beside.post(`/events/${channel}`, 1)),
    ]).flat(),
  )
  t.strictSame([...new Set(answers.map(({ status }) => status))], [201])
  const counts = await Promise.all(channels.map(eventsOf))
  for (const events of counts) {
    t.strictSame(
      events.map(({ event }) => event),
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
  }
})
