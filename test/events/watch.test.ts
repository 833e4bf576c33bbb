import { sql } from 'kysely'
import t from 'tap'
import { expiredEvents } from '../../src/events/expiry.ts'
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
  const plain = await server.get(`${pathOf('a/b c')}?fromEvent=1`)
  t.match(
    plain.text,
    /"payload":\{"n": 1\.000000000000000000001,  ?"n2":12345678901234567890,"t":"\\u0000\\n"\}\}\n\n/,
  )
})
