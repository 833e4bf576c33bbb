import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInflate } from 'node:zlib'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import {
  type EventStream,
  type EventStreamOptions,
  eventText,
  installEventStreams,
} from '../../src/http/server-sent-events.ts'
import { SharedText } from '../../src/http/shared-text.ts'
import { openStream } from '../support/event-stream.ts'

/** A server whose only route hands its streams to the test. */
async function serveStreams(t: Test, options: EventStreamOptions) {
  const app = Fastify()
  const streams = installEventStreams(app, options)
  const { promise: opened, resolve } = Promise.withResolvers<EventStream>()
  app.get('/', async (request, reply) => resolve(streams.open(request, reply)))
  t.teardown(() => app.close())
  return { app, opened, address: await app.listen({ port: 0 }) }
}

const blockedMsMax = 60_000
const textOf = (event: Parameters<typeof eventText>[0]) => new SharedText(eventText(event))
const large = textOf({ event: 'large', data: JSON.stringify('x'.repeat(2 ** 20)) })

/** A reader that takes the head of the answer, and nothing of what follows. */
async function openAndHang(address: string): Promise<IncomingMessage> {
  const [response]: IncomingMessage[] = await once(get(address, { agent: false }), 'response')
  if (response === undefined) throw new Error('there is no answer')
  return response.pause().on('error', () => {})
}

/** Reads a stream in deflate. */
async function openDeflated(address: string) {
  const headers = { 'accept-encoding': 'deflate' }
  const request = get(address, { agent: false, headers })
  const [response]: IncomingMessage[] = await once(request, 'response')
  if (response === undefined) throw new Error('there is no answer')
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  const inflated = response.pipe(createInflate()).setEncoding('utf8')
  let text = ''
  inflated.on('data', (part: string) => {
    text += part
  })
  const events = () => text.replaceAll(/: heartbeat\n\n|retry: 1000\n\n/g, '')
  return { ended: once(inflated, 'end'), events, bytes: () => bytes }
}

/** Settles when the answer is over, in whatever way. */
const closed = (response: IncomingMessage) =>
  new Promise<void>((resolve) => response.once('close', () => resolve()))

/** Sends without end, and tells how often. */
async function sendAll(stream: EventStream, counted: { sent: number }): Promise<void> {
  while (stream.isOpen()) {
    await stream.send(large)
    counted.sent += 1
    if (counted.sent > 1000) throw new Error('a reader that does not read was sent a gigabyte')
  }
}

t.test('events are framed by the standard', async (t) => {
  t.equal(eventText({ event: 'a', id: '7', data: '{}' }), 'event: a\nid: 7\ndata: {}\n\n')
  t.equal(eventText({ event: 'a', data: '{}' }), 'event: a\ndata: {}\n\n')
})

t.test('a stream begins at once, beats, and ends in order', async (t) => {
  const { opened, address } = await serveStreams(t, { blockedMsMax, heartbeatMs: 5 })
  const reader = await openStream(address)
  t.match(reader.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const stream = await opened
  while (reader.comments.length < 3) await sleep(5)
  await stream.send(textOf({ event: 'a', id: '1', data: '{"b":1}' }))
  t.strictSame(await reader.until(1), [{ event: 'a', id: '1', data: { b: 1 } }])
  stream.end()
  t.equal(stream.isOpen(), false)
  t.equal(await reader.over, true)
  await stream.send(large)
})

t.test('a reader that hangs holds its sender back, and is cut off in the end', async (t) => {
  const { opened, address } = await serveStreams(t, { blockedMsMax: 100 })
  const response = await openAndHang(address)
  const stream = await opened
  const told = new Promise<void>((resolve) => stream.onClose(resolve))
  await sendAll(stream, { sent: 0 })
  await told
  response.resume()
  await closed(response)
  t.equal(response.complete, false)
})

t.test('a slow reader is not cut off', async (t) => {
  const { opened, address } = await serveStreams(t, { blockedMsMax })
  const response = await openAndHang(address)
  const stream = await opened
  const counted = { sent: 0 }
  const sending = sendAll(stream, counted)
  let before = -1
  while (counted.sent > before) {
    before = counted.sent
    await sleep(100)
  }
  response.resume()
  while (counted.sent < before + 20) await sleep(5)
  t.ok(stream.isOpen())
  response.destroy()
  await sending
})

t.test('a listener hears of a reader that had gone before', async (t) => {
  const { opened, address } = await serveStreams(t, { blockedMsMax })
  const reader = await openStream(address)
  const stream = await opened
  reader.close()
  await new Promise<void>((resolve) => stream.onClose(resolve))
  await new Promise<void>((resolve) => stream.onClose(resolve))
  t.equal(stream.isOpen(), false)
})

t.test('the server ends its streams when it closes, and cuts off who hangs', async (t) => {
  const { app, opened, address } = await serveStreams(t, { blockedMsMax })
  const hanging = await openAndHang(address)
  const sending = sendAll(await opened, { sent: 0 })
  const reader = await openStream(address)
  await app.close()
  t.equal(await reader.over, true)
  await sending
  hanging.resume()
  await closed(hanging)
  t.equal(hanging.complete, false)
})

t.test('a reader that takes deflate gets the same, compressed once for all', async (t) => {
  const app = Fastify()
  const streams = installEventStreams(app, { blockedMsMax, heartbeatMs: 5 })
  const opened: EventStream[] = []
  app.get('/', async (request, reply) => void opened.push(streams.open(request, reply)))
  t.teardown(() => app.close())
  const address = await app.listen({ port: 0 })
  const readers = await Promise.all([1, 2].map(() => openDeflated(address)))
  const [first, second] = readers
  if (first === undefined || second === undefined) throw new Error('there are two readers')
  // Texts of every length up to some, and one beyond what the checksum and the window of deflate hold.
  const texts = Array.from({ length: 60 }, (_, index) =>
    textOf({ event: 'a', data: `"${'é'.repeat(index)}"` }),
  )
  for (const text of [...texts, large]) {
    await Promise.all(opened.map((stream) => stream.send(text)))
  }
  // The first gets one text more, so it ends with another checksum.
  await opened[0]?.send(large)
  const same = [...texts, large].map(({ plain }) => plain.toString()).join('')
  for (const [reader, wanted] of [
    [first, `${same}${large.plain}`],
    [second, same],
  ] as const) {
    // All that was sent is there before the end.
    while (reader.events().length < wanted.length) await sleep(5)
    t.equal(reader.events(), wanted)
    t.ok(reader.bytes() < 50_000, 'a fraction of what it says')
  }
  for (const stream of opened) stream.end()
  // It throws unless the checksums are right.
  await Promise.all([first.ended, second.ended])
})

for (const [choice, taken] of [
  ['deflate', true],
  ['gzip, Deflate;q=0.5', true],
  ['deflate; q=1.0', true],
  ['gzip', false],
  ['deflate;q=0', false],
  ['deflate;q=0.000, gzip', false],
  ['*', false],
  ['', false],
] as const) {
  t.test(`"${choice}" ${taken ? 'takes' : 'does not take'} deflate`, async (t) => {
    const { address } = await serveStreams(t, { blockedMsMax })
    const reader = await openStream(address, { 'accept-encoding': choice })
    t.equal(reader.headers['content-encoding'], taken ? 'deflate' : undefined)
    t.equal(reader.headers.vary, 'accept-encoding')
    reader.close()
  })
}

t.test('HEAD gets the head of a stream and no more', async (t) => {
  const { address } = await serveStreams(t, { blockedMsMax })
  const { status, headers } = await fetch(address, { method: 'HEAD' })
  t.equal(status, 200)
  t.equal(headers.get('content-type'), 'text/event-stream')
})
