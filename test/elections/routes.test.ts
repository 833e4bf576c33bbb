import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { openStream, type TestStream } from '../support/event-stream.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { watchPollMs: 20 }, { mirror: false })
const beside = await startTestServer(t, { watchPollMs: 20 }, { mirror: false, beside: server })
const { db } = server

type Ask = Record<string, unknown>
const campaign = (name: string, candidate: string, more: Ask = {}, at = server) =>
  at.post(`/elections/${name}/campaign`, { candidate, ttlMs: 60_000, ...more })
const resign = (name: string, candidate: string, token: number, at = server) =>
  at.post(`/elections/${name}/resign`, { candidate, token })
const renew = (name: string, candidate: string, token: number, more: Ask = {}) =>
  server.post(`/elections/${name}/renew`, { candidate, token, ...more })
const look = async (name: string) => (await server.get(`/elections/${name}`)).body

async function untilWaiting(name: string, count: number): Promise<void> {
  while ((await look(name)).numCandidates !== count) await sleep(5)
}

/** Has the lease of a leader run out. */
async function runOut(name: string): Promise<void> {
  await sql`
    with changed as (
      update locks set revision = revision + 1
      where kind = 'election' and name = ${name} returning id
    )
    update lock_holders set expires_at = clock_timestamp() - interval '1 ms'
    where lock_id = (select id from changed)`.execute(db)
}

/** What observers were told, once so many events are here. */
async function toldTo(stream: TestStream, count: number) {
  const events = await stream.untilId(String(count))
  return events
    .filter(({ event }) => event !== 'bookmark')
    .map(({ event, data: { payload } }) => [event, payload.candidate, payload.value])
}

t.test('one leads at a time, with a token that rises', async (t) => {
  const value = { host: 'a', big: 1 }
  const first = await campaign('plain', 'a', { value })
  t.match(first, { status: 200, body: { name: 'plain', candidate: 'a', value } })
  t.match(first.headers.get('consistency-token'), /^\w+\/\w+$/)
  const { token } = first.body
  t.match(await campaign('plain', 'b', {}, beside), {
    status: 409,
    body: { code: 'not-leader', leader: { candidate: 'a', token, value } },
  })
  t.match(await campaign('plain', 'a', { value }), { status: 200, body: { token } })
  t.match(await look('plain'), {
    name: 'plain',
    token,
    leader: { candidate: 'a', token, value },
    numCandidates: 0,
    candidates: [],
  })
  t.match(await resign('plain', 'a', token, beside), {
    status: 200,
    body: { candidate: 'a', token },
  })
  t.equal((await look('plain')).leader, undefined)
  const second = await campaign('plain', 'b')
  t.ok(second.body.token > token)
  const isOver = { status: 409, body: { code: 'not-leader', leader: { candidate: 'b' } } }
  t.match(await resign('plain', 'a', token), isOver)
  t.match(await renew('plain', 'a', token), isOver)
  t.match(await renew('plain', 'a', token, { value: 1 }), isOver)
  t.match(await renew('plain', 'b', token), isOver)
})

t.test('observers are told who leads and what the leader says', async (t) => {
  const watchers = [server, beside].map(({ address }) =>
    openStream(`${address}/elections/watched/watch?fromEvent=1`),
  )
  const { token } = (await campaign('watched', 'a', { value: 1 })).body
  t.match(await renew('watched', 'a', token, { value: { step: 2 }, ttlMs: 30_000 }), {
    status: 200,
    body: { token, value: { step: 2 } },
  })
  t.match((await renew('watched', 'a', token)).body.value, { step: 2 })
  await renew('watched', 'a', token, { value: { step: 2 } })
  await renew('watched', 'a', token, { value: null })
  await resign('watched', 'a', token)
  const last = (await campaign('watched', 'b')).body
  const expected = [
    ['elected', 'a', 1],
    ['changed', 'a', { step: 2 }],
    ['changed', 'a', null],
    ['resigned', 'a', null],
    ['elected', 'b', undefined],
  ]
  for (const watcher of await Promise.all(watchers)) {
    t.strictSame(await toldTo(watcher, 5), expected)
    const { data } = watcher.events.findLast(({ event }) => event === 'elected') ?? {}
    t.match(data.payload, { token: last.token, expiresAt: last.expiresAt })
    watcher.close()
  }
})

t.test('who waits leads next, in the order in which they came, at whatever server', async (t) => {
  const { token } = (await campaign('line', 'a')).body
  const observer = await openStream(`${server.address}/elections/line/watch`)
  const second = campaign('line', 'b', { waitMs: 20_000, value: 'b' }, beside)
  await untilWaiting('line', 1)
  const third = campaign('line', 'c', { waitMs: 20_000 })
  await untilWaiting('line', 2)
  t.match(await look('line'), { candidates: [{ candidate: 'b', value: 'b' }, { candidate: 'c' }] })
  await resign('line', 'a', token)
  const next = await second
  t.match(next, { status: 200, body: { candidate: 'b', value: 'b' } })
  t.match(await look('line'), { leader: { candidate: 'b' }, numCandidates: 1 })
  await resign('line', 'b', next.body.token)
  t.match(await third, { status: 200, body: { candidate: 'c' } })
  const told = await toldTo(observer, 7)
  t.strictSame(
    told.map(([event, candidate]) => `${event} ${candidate}`),
    ['waiting b', 'waiting c', 'resigned a', 'elected b', 'resigned b', 'elected c'],
  )
  observer.close()
  const late = await campaign('line', 'd', { waitMs: 50 })
  t.match(late, { status: 409, body: { code: 'not-leader', leader: { candidate: 'c' } } })
  t.equal((await look('line')).numCandidates, 0)
})

t.test('a leader that does not renew is followed by the next', async (t) => {
  const { token } = (await campaign('dead', 'a')).body
  const observer = await openStream(`${beside.address}/elections/dead/watch?fromEvent=2`)
  const waiting = campaign('dead', 'b', { waitMs: 20_000 }, beside)
  await untilWaiting('dead', 1)
  await runOut('dead')
  const next = await waiting
  t.match(next, { status: 200, body: { candidate: 'b' } })
  t.ok(next.body.token > token)
  t.match(await renew('dead', 'a', token), { status: 409, body: { leader: { candidate: 'b' } } })
  const told = await toldTo(observer, 4)
  t.strictSame(
    told.map(([event, candidate]) => `${event} ${candidate}`),
    ['waiting b', 'expired a', 'elected b'],
  )
  observer.close()
})

t.test('a lease that has run out is lost, even where nobody else leads', async (t) => {
  const { token } = (await campaign('lapsed', 'a')).body
  await runOut('lapsed')
  t.equal((await look('lapsed')).leader, undefined)
  const refused = await renew('lapsed', 'a', token, { value: 1 })
  t.match(refused, { status: 409, body: { code: 'not-leader' } })
  t.equal(refused.body.leader, undefined)
})

t.test('of many who campaign at once one is elected', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, number) =>
      campaign('crowd', `c${number}`, {}, number % 2 === 0 ? server : beside),
    ),
  )
  const elected = answers.filter(({ status }) => status === 200)
  t.equal(elected.length, 1)
  for (const { status, body } of answers) {
    if (status !== 200) t.match(body, { code: 'not-leader' })
  }
  const { rows } = await sql<{ kind: string }>`
    select e.kind from events e join locks l on l.id = e.subject_id and e.topic = 'election'
    where l.name = 'crowd'`.execute(db)
  t.strictSame(rows, [{ kind: 'elected' }])
})

t.test('an election is no lock of the same name', async (t) => {
  const leader = await campaign('twin', 'a')
  const lock = await server.post('/locks/twin/acquire', { holder: 'b', ttlMs: 60_000 })
  t.match([leader.status, lock.status], [200, 200])
  t.equal((await look('twin')).leader.candidate, 'a')
})

t.test('bad input is refused', async (t) => {
  const wrong: [Ask, string][] = [
    [{}, ''],
    [{ candidate: '', ttlMs: 1000 }, '/candidate'],
    [{ candidate: 'a', ttlMs: 99 }, '/ttlMs'],
    [{ candidate: 'a', ttlMs: 1e15 }, '/ttlMs'],
    [{ candidate: 'a', ttlMs: 1000, waitMs: 1e15 }, '/waitMs'],
    [{ candidate: 'a', ttlMs: 1000, mode: 'shared' }, ''],
  ]
  for (const [body, pointer] of wrong) {
    t.match(await server.post('/elections/wrong/campaign', body), {
      status: 400,
      body: { code: 'invalid-request', errors: [{ pointer }] },
    })
  }
  const deep = JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`)
  t.match(await campaign('wrong', 'a', { value: deep }), {
    status: 400,
    body: { errors: [{ pointer: '/value' }] },
  })
  t.match(await campaign('wrong', 'a', { value: 'x'.repeat(20_000) }), { status: 413 })
  t.match(await renew('wrong', 'a', 1), { status: 409, body: { code: 'not-leader' } })
  t.match(await server.get('/elections/wrong'), {
    status: 404,
    body: { code: 'election-not-found' },
  })
})
