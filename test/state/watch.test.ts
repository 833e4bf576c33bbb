import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { openStream, type TestEvent, type TestStream } from '../support/event-stream.ts'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, putBytes, remove } from '../support/state.ts'

// No look comes by itself in the time of a test: what is seen was told by the committer.
const server = await startTestServer(t, { watchPollMs: 600_000, watchBookmarkMs: 200 })
const { write } = createStateWriter(server)
const { db } = server

const watch = (namespace: string, query = '', headers = {}) =>
  openStream(`${server.address}/state/${namespace}/watch${query}`, headers)

const isWrite = ({ event }: TestEvent) => event !== 'bookmark'
const keysOf = (events: readonly TestEvent[]) =>
  events.filter(isWrite).map(({ id, data }) => [id, data.key])

/** The writes that a stream tells of up to an id, without the bookmarks. */
async function readTo(reader: TestStream, id: string): Promise<readonly TestEvent[]> {
  return (await reader.untilId(id)).filter(isWrite)
}

/** What retention does: the history begins later, and writes that were replaced have left it. */
async function compact(namespace: string, historyFrom: number): Promise<void> {
  await sql`
    with head as (
      update state_namespaces set history_from = ${historyFrom}
      where namespace = ${namespace} returning id
    )
    delete from state_history h using head
    where namespace_id = head.id and revision < ${historyFrom} and exists (
      select from state_history newer
      where newer.namespace_id = h.namespace_id and newer.key = h.key
        and newer.revision > h.revision and newer.revision <= ${historyFrom})`.execute(db)
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

t.test('a watcher is told of each write that follows, as it was made', async (t) => {
  await write('told', [put('before', 0)])
  const reader = await watch('told')
  const value = '{"n":12345678901234567890.00,"s":"\\n"}'
  await write('told', [
    put('a', 1, { metadata: { topic: 'orders' }, ttlMs: 86_400_000 }),
    put('b', 2, { value: { json: value, contentType: null, bytes: null } }),
  ])
  await write('told', [putBytes('a', Buffer.from([0, 255]))])
  await write('told', [remove('b'), remove('none')])
  await write('told', [put('b', 3)])
  const events = await readTo(reader, '5')
  const updatedAt = instant
  t.match(events, [
    {
      event: 'put',
      id: '2.0',
      data: { key: 'a', version: 1, created: true, value: 1, metadata: { topic: 'orders' } },
    },
    { event: 'put', id: '2', data: { revision: 2, position: 1, key: 'b', created: true } },
    {
      event: 'put',
      id: '3',
      data: { version: 2, created: false, valueBase64: 'AP8=', updatedAt },
    },
    { event: 'delete', id: '4', data: { key: 'b', version: 2, updatedAt } },
    { event: 'put', id: '5', data: { key: 'b', version: 3, created: true } },
  ])
  t.strictSame(
    events.map(({ data }) => data.more),
    [true, undefined, undefined, undefined, undefined],
  )
  t.match(events[0]?.data.expiresAt, instant)
  t.equal(events[2]?.data.contentType, 'application/octet-stream')
  t.strictSame(Object.keys(events[3]?.data), [
    'revision',
    'position',
    'key',
    'version',
    'updatedAt',
  ])
  reader.close()
})

t.test('an entry that has expired is told of, and what follows is new', async (t) => {
  const reader = await watch('expired')
  await write('expired', [put('a', 1, { ttlMs: 1 }), put('b', 1, { ttlMs: 1 })])
  await sleep(5)
  await write('expired', [{ kind: 'expire', key: 'a', version: 1 }, put('b', 2)])
  await write('expired', [put('a', 2)])
  const events = await readTo(reader, '3')
  t.match(events.slice(2), [
    { event: 'expire', id: '2.0', data: { key: 'a', version: 2, more: true } },
    { event: 'put', id: '2', data: { key: 'b', version: 2, created: true } },
    { event: 'put', id: '3', data: { key: 'a', version: 3, created: true } },
  ])
  t.equal(events[2]?.data.value, undefined)
  reader.close()
})

t.test('a watcher that resumes at whatever id is sent each event once', async (t) => {
  for (let number = 0; number < 12; number += 1) {
    const keys = ['a', 'b/1', 'b/2', 'c'].slice(number % 3, 3 + (number % 4))
    await write(
      'resumed',
      keys.map((key) => (number % 5 === 4 ? remove(key) : put(key, number))),
    )
  }
  for (const prefix of ['', 'b/']) {
    const query = `?prefix=${encodeURIComponent(prefix)}`
    const whole = await watch('resumed', `${query}&fromRevision=1`)
    const all = await readTo(whole, '12')
    whole.close()
    t.ok(all.length > 10)
    t.strictSame(
      all.map(({ data }) => [data.revision, data.position]),
      all
        .map(({ data }) => [data.revision, data.position])
        .toSorted(([a, b], [c, d]) => a - c || b - d),
    )
    for (const [index, { id = '' }] of all.entries()) {
      const resumed = await watch('resumed', query, { 'last-event-id': id })
      t.strictSame(await readTo(resumed, '12'), all.slice(index + 1), `behind ${id}`)
      resumed.close()
    }
  }
})

t.test('a revision of any size comes whole, in order, and with nothing in between', async (t) => {
  const keys = Array.from(
    { length: 7000 },
    (_, index) => `${index % 2500 === 0 ? 'x' : 'y'}/${index}`,
  )
  const following = [await watch('large'), await watch('large', '?prefix=x')]
  await Promise.all([
    write('large', [put('x', 0)]),
    write(
      'large',
      keys.map((key) => put(key, key)),
    ),
    write('large', [put('x', 1)]),
  ])
  const { rows } = await sql<{ revision: number; position: number; key: string }>`
    select revision, position, key from state_history
    where namespace_id = (select id from state_namespaces where namespace = 'large')
    order by revision, position`.execute(db)
  const readers = [
    ...following,
    await watch('large', '?fromRevision=1'),
    await watch('large', '?fromRevision=1&prefix=x'),
  ]
  for (const [index, reader] of readers.entries()) {
    const wanted = rows.filter(({ key }) => key.startsWith(index % 2 === 0 ? '' : 'x'))
    const events = await readTo(reader, '3')
    t.strictSame(
      events.map(({ id, data }) => [id, data.revision, data.position, data.key, data.more]),
      wanted.map(({ revision, position, key }, at) => {
        const isLast = wanted[at + 1]?.revision !== revision
        const id = isLast ? `${revision}` : `${revision}.${position}`
        return [id, revision, position, key, isLast ? undefined : true]
      }),
    )
    reader.close()
  }
})

t.test('large values come in pages of their own', async (t) => {
  const bytes = (byte: number) => Buffer.alloc(600_000, byte)
  await write(
    'values',
    [1, 2, 3, 4].map((byte) => putBytes(`k${byte}`, bytes(byte))),
  )
  await write('values', [putBytes('k5', bytes(5))])
  const reader = await watch('values', '?fromRevision=1')
  const events = await readTo(reader, '2')
  t.strictSame(keysOf(events), [
    ['1.0', 'k1'],
    ['1.1', 'k2'],
    ['1.2', 'k3'],
    ['1', 'k4'],
    ['2', 'k5'],
  ])
  t.strictSame(
    events.map(({ data }) => Buffer.from(data.valueBase64, 'base64')),
    [1, 2, 3, 4, 5].map(bytes),
  )
  reader.close()
})

t.test('a namespace that nobody has written to is watched until somebody does', async (t) => {
  const readers = [await watch('later'), await watch('later', '?fromRevision=1')]
  await write('later', [put('a', 1)])
  for (const reader of readers) {
    t.strictSame(keysOf(await readTo(reader, '1')), [['1', 'a']])
    reader.close()
  }
})

t.test('a bookmark says how far a watcher has come whom the prefix kept silent', async (t) => {
  await write('marked', [put('other', 0)])
  const reader = await watch('marked', '?prefix=mine')
  await reader.until(1)
  t.strictSame(reader.events[0], { event: 'bookmark', id: '1', data: { revision: 1 } })
  for (let number = 1; number < 5; number += 1) await write('marked', [put('other', number)])
  await readTo(reader, '5')
  t.ok(reader.events.every(({ event }) => event === 'bookmark'))
  reader.close()
  await compact('marked', 6)
  const early = await server.get('/state/marked/watch?prefix=mine', { 'last-event-id': '4' })
  t.match(early, { status: 410, body: { code: 'events-compacted', historyFrom: 6 } })
  const resumed = await watch('marked', '?prefix=mine', { 'last-event-id': '5' })
  await write('marked', [put('mine', 1), put('other', 5)])
  t.strictSame(keysOf(await readTo(resumed, '6')), [['6', 'mine']])
  resumed.close()
})

t.test('a reader that hangs holds nobody up, and loses nothing or is told', async (t) => {
  const revisions = 24
  const value = Buffer.alloc(500_000, 1)
  const hanging = [await watch('hung'), await watch('hung')]
  for (const reader of hanging) reader.hang()
  const reader = await watch('hung')
  const writeSome = async () => {
    for (let number = 0; number < revisions; number += 1) {
      await write('hung', [putBytes('key', value)])
    }
  }
  await writeSome()
  await readTo(reader, `${revisions}`)
  const [first, second] = hanging as [TestStream, TestStream]
  first.goOn()
  const range = (to: number) => Array.from({ length: to }, (_, index) => String(index + 1))
  t.strictSame(
    (await readTo(first, `${revisions}`)).map(({ id }) => id),
    range(revisions),
  )
  await compact('hung', revisions + 1)
  second.goOn()
  t.equal(await second.over, true)
  const got = second.events.filter(isWrite)
  t.strictSame(got.pop(), { event: 'compacted', data: { historyFrom: revisions + 1 } })
  t.ok(got.length < revisions)
  t.strictSame(
    got.map(({ id }) => id),
    range(got.length),
  )
  for (const one of [reader, first]) one.close()
})

t.test('a place that cannot be is refused', async (t) => {
  await write('refused', [put('a', 1)])
  const path = '/state/refused/watch'
  for (const value of ['x', '-1', '1.', '.5', '1.5.2', '1, 2', '1'.repeat(17)]) {
    t.match(await server.get(path, { 'last-event-id': value }), {
      status: 400,
      body: { code: 'invalid-request', errors: [{ pointer: '/headers/last-event-id' }] },
    })
  }
  for (const query of ['fromRevision=0', 'fromRevision=x', 'prefix=%00', 'unknown=1']) {
    t.match(await server.get(`${path}?${query}`), { status: 400 })
  }
  const beyond = { status: 404, body: { code: 'revision-not-found', currentRevision: 1 } }
  t.match(await server.get(path, { 'last-event-id': '2' }), beyond)
  t.match(await server.get(`${path}?fromRevision=3`), beyond)
  t.match(await server.get('/state/nobody/watch?fromRevision=2'), {
    status: 404,
    body: { currentRevision: 0 },
  })
  t.equal((await server.get(`${path}?fromRevision=2`)).status, 200)
})

t.test('writes of another server are seen', async (t) => {
  const looking = await startTestServer(t, { watchPollMs: 20 }, { beside: server, mirror: false })
  const other = createStateWriter(looking)
  const reader = await openStream(`${looking.address}/state/shared/watch`)
  await Promise.all(
    Array.from({ length: 40 }, (_, number) =>
      (number % 2 === 0 ? write : other.write)('shared', [put('key', number)]),
    ),
  )
  const events = await readTo(reader, '40')
  t.strictSame(
    events.map(({ data }) => [data.revision, data.version, data.created]),
    Array.from({ length: 40 }, (_, index) => [index + 1, index + 1, index === 0]),
  )
  reader.close()
})

t.test('hundreds of watchers are each told of everything', async (t) => {
  const numbers = Array.from({ length: 400 }, (_, index) => index)
  const prefixes = ['', 'a', 'b']
  const readers = await Promise.all(
    numbers.map((number) => watch('many', `?prefix=${prefixes[number % 3]}`)),
  )
  for (let number = 0; number < 50; number += 1) {
    await write('many', [put('a', number), put('b', number)])
  }
  const all = Array.from({ length: 100 }, (_, index) => [1 + (index >> 1), 'ab'[index % 2]])
  for (const [number, reader] of readers.entries()) {
    const events = await readTo(reader, '50')
    const prefix = prefixes[number % 3] ?? ''
    t.strictSame(
      events.map(({ data }) => [data.revision, data.key]),
      all.filter(([, key]) => String(key).startsWith(prefix)),
    )
    reader.close()
  }
})
