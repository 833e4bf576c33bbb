import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { add } from '../support/api.ts'
import { untilBlocked } from '../support/congestion.ts'
import { grant } from '../support/locks.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db } = server

/** A session beside the server. */
async function openSession(): Promise<pg.Client> {
  const session = new pg.Client(server.database.url)
  await session.connect()
  t.teardown(() => session.end())
  return session
}

const session = await openSession()
const watcher = await openSession()
const lockRow = (name: string) => `select from locks where name = '${name}' for update`

t.test('a write waits for a grant that is under way, and is refused behind it', async (t) => {
  const [table, other] = await Promise.all([server.makeTable(), server.makeTable()])
  const token = await grant(db, { name: 'granting' })
  await session.query(`begin; ${lockRow('granting')}`)
  const guarded = server.commit(table, {
    fences: [{ lock: 'granting', token }],
    actions: [add('a')],
  })
  await untilBlocked(watcher)
  t.equal((await server.commit(other, { actions: [add('a')] })).status, 201, 'others go on')
  await session.query(`
    update locks set token = token + 1 where name = 'granting';
    update lock_holders set token = token + 1, holder = 'b';
    commit`)
  t.match((await guarded).body, { code: 'stale-fence', token, currentToken: token + 1 })
  t.equal((await server.get(`/tables/${table}`)).body.version, 0)
})

t.test('nobody else is granted the lock between the check and the commit', async (t) => {
  const table = await server.makeTable()
  const token = await grant(db, { name: 'checked' })
  await session.query('begin; lock table commits in share mode')
  const guarded = server.commit(table, {
    fences: [{ lock: 'checked', token }],
    actions: [add('a')],
  })
  await untilBlocked(watcher)
  await t.rejects(watcher.query(`${lockRow('checked')} nowait`), { code: '55P03' })
  await t.resolves(watcher.query(`${lockRow('granting')} nowait`), 'but another lock')
  await session.query('commit')
  t.equal((await guarded).status, 201)
  t.ok((await grant(db, { name: 'checked', holder: 'b' })) > token)
})

t.test('writes stand in the order of their tokens, however grants come between', async (t) => {
  const second = await startTestServer(t, {}, { beside: server, mirror: false })
  const name = 'raced'
  const accepted: { token: number; revision: number }[] = []
  let refused = 0
  let newest = await grant(db, { name })
  let isOver = false
  const write = async (at: { call: typeof server.call }, key: number) => {
    while (!isOver) {
      const token = newest
      const body = { value: token, fences: [{ lock: name, token }] }
      const answer = await at.call('PUT', `/state/raced/entries/k${key}`, { json: body })
      if (answer.status === 409) refused += 1
      else accepted.push({ token, revision: answer.body.revision })
    }
  }
  const writers = [server, second, server, second].map(write)
  /** For each grant how far the namespace had come right behind it. */
  const floors: { token: number; revision: number }[] = []
  const hadTheirTurn = () => new Set(accepted.map(({ token }) => token)).size
  for (let round = 0; round < 60 || hadTheirTurn() <= 10 || refused <= 20; round += 1) {
    newest = await grant(db, { name, holder: `h${round}` })
    const { rows } = await sql<{ revision: number }>`
      select revision from state_namespaces where namespace = 'raced'`.execute(db)
    floors.push({ token: newest, revision: rows[0]?.revision ?? 0 })
    await sleep(Math.random() * 15)
  }
  isOver = true
  await Promise.all(writers)
  const inOrder = accepted.sort((one, other) => one.revision - other.revision)
  const tokens = inOrder.map(({ token }) => token)
  t.strictSame(
    tokens,
    tokens.toSorted((one, other) => one - other),
  )
  const late = accepted.filter((one) =>
    floors.some(({ token, revision }) => one.token < token && one.revision > revision),
  )
  t.strictSame(late, [], 'behind a grant nothing of an earlier token is written')
})

t.test('a holder whose time is over is refused each of thousands of times', async (t) => {
  const table = await server.makeTable()
  const stale = await grant(db, { name: 'over' })
  const token = await grant(db, { name: 'over', holder: 'b' })
  const statuses = new Map<number, number>()
  const attempt = async (index: number) => {
    const fences = [{ lock: 'over', token: stale }]
    const { status } =
      index % 2 === 0
        ? await server.commit(table, { fences, actions: [add(`f${index}`)] })
        : await server.post('/state/over/batch', {
            fences,
            operations: [{ put: { key: `k${index}`, value: index } }],
          })
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  }
  let next = 0
  const client = async () => {
    while (next < 2000) await attempt(next++)
  }
  const clients = Array.from({ length: 32 }, client)
  const holding = async (index: number) =>
    server.commit(table, { fences: [{ lock: 'over', token }], actions: [add(`h${index}`)] })
  for (let index = 0; index < 20; index += 1) t.equal((await holding(index)).status, 201)
  await Promise.all(clients)
  t.strictSame([...statuses], [[409, 2000]])
  t.equal((await server.get(`/tables/${table}`)).body.version, 20)
  t.equal((await server.get('/state/over')).body.revision, 0)
})
