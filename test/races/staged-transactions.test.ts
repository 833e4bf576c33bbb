import { sql } from 'kysely'
import t from 'tap'
import { overdueTransactions, stagedLeftovers } from '../../src/transactions/staged/sweeps.ts'
import { add, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const one = await startTestServer(t, {}, { mirror: false })
const two = await startTestServer(t, {}, { beside: one, mirror: false })
const rounds = 12

const overdue = overdueTransactions(one.db, () => {})
const leftovers = stagedLeftovers(one.db, one.config)

interface Staged {
  way: string
  tables: string[]
}

async function stage(): Promise<Staged> {
  const tables = await Promise.all([one, two].map((server) => server.makeTable()))
  const { body } = await one.post('/transactions', {
    tables: tables.map((table) => ({ table, actions: [add('a')] })),
  })
  return { way: `/transactions/${body.id}`, tables }
}

/** Whether it was committed; throws when a part of it was. */
async function isCommitted({ tables }: Staged): Promise<boolean> {
  const found = await Promise.all(tables.map((table) => two.get(`/tables/${table}`)))
  const versions = found.map(({ body }) => body.version)
  if (new Set(versions).size !== 1) throw new Error(`it was committed in part: ${versions}`)
  return versions[0] === 1
}

const stateOf = async ({ way }: Staged) => (await two.get(way)).body.state

t.test('of many commits at once one is made, and all others say so', async (t) => {
  for (let round = 0; round < rounds; round += 1) {
    const staged = await stage()
    const servers = [one, two, one, two, one]
    const answers = await Promise.all(servers.map((at) => at.post(`${staged.way}/commit`)))
    const done = answers.filter(({ status }) => status === 200)
    t.ok(done.length >= 1)
    t.equal(new Set(done.map(({ text }) => text)).size, 1)
    for (const { status, body } of answers) {
      if (status === 200) continue
      t.match(body, { code: 'transaction-not-active', state: 'committing', detail: /in progress/ })
    }
    t.ok(await isCommitted(staged))
    t.equal((await two.post(`${staged.way}/commit`)).text, done[0]?.text)
  }
})

t.test('commits with one key at once are all answered as the first', async (t) => {
  const staged = await stage()
  const headers = { 'idempotency-key': staged.way }
  const send = async (twin: number): Promise<TestAnswer> => {
    const answer = await (twin % 2 ? one : two).post(`${staged.way}/commit`, undefined, headers)
    const isUnderWay = answer.body.state === 'committing' && answer.status === 409
    const again = isUnderWay || answer.body.code === 'idempotency-in-progress'
    return again ? send(twin) : answer
  }
  const answers = await Promise.all([0, 1, 2, 3, 4, 5].map(send))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
})

t.test('commit and rollback: one of them, whole', async (t) => {
  const ends = new Set<string>()
  for (let round = 0; round < rounds; round += 1) {
    const staged = await stage()
    const calls = [() => one.post(`${staged.way}/commit`), () => two.post(`${staged.way}/rollback`)]
    const inOrder = round % 2 === 0 ? calls : calls.toReversed()
    const answers = await Promise.all(inOrder.map((call) => call()))
    const [commit, rollback] = round % 2 === 0 ? answers : answers.toReversed()
    t.strictSame([commit?.status, rollback?.status].sort(), [200, 409])
    const state = await stateOf(staged)
    t.equal(state, commit?.status === 200 ? 'committed' : 'rolled-back')
    t.equal(await isCommitted(staged), state === 'committed')
    ends.add(state)
  }
  t.comment([...ends])
})

t.test('commit and expiry: one of them, whole', async (t) => {
  for (let round = 0; round < rounds; round += 1) {
    const staged = await stage()
    const id = staged.way.split('/').at(-1)
    const expire = sql`
      update transactions set expires_at = clock_timestamp() + ${round} * interval '1 ms'
      where id = ${id}::uuid`.execute(one.db)
    const sweep = expire.then(() => overdue.sweep()).then(() => leftovers.sweep())
    const [commit] = await Promise.all([one.post(`${staged.way}/commit`), sweep])
    while ((await overdue.sweep()) > 0);
    const state = await stateOf(staged)
    t.equal(state, commit.status === 200 ? 'committed' : 'expired')
    if (commit.status !== 200) t.match(commit.body, { code: 'transaction-not-active', state })
    t.equal(await isCommitted(staged), state === 'committed')
  }
})

t.test('what is staged while it ends is in it, or refused', async (t) => {
  for (let round = 0; round < rounds; round += 1) {
    const staged = await stage()
    const [table] = staged.tables
    const more = Array.from({ length: 4 }, (_, at) =>
      two.post(`${staged.way}/tables/${table}/actions`, [add(`more-${at}`)]),
    )
    const [commit, ...answers] = await Promise.all([one.post(`${staged.way}/commit`), ...more])
    const taken = answers.filter(({ status }) => status === 200).length
    t.equal(commit?.body.tables[0].numAddedFiles, 1 + taken)
    for (const { status, body } of answers) {
      if (status !== 200) t.equal(body.code, 'transaction-not-active')
    }
  }
})

t.test('a commit that was given up does nothing more, and another can be made', async (t) => {
  const staged = await stage()
  const id = staged.way.split('/').at(-1)
  // Without its lines the commit goes no further, while it has the transaction.
  const held = await one.pool.connect()
  await held.query('begin')
  await held.query('lock table transaction_lines in access exclusive mode')
  const slow = two.post(`${staged.way}/commit`)
  while ((await stateOf(staged)) !== 'committing');
  t.match(await one.post(`${staged.way}/rollback`), { status: 409, body: { state: 'committing' } })
  await sql`
    update transactions set claimed_until = clock_timestamp() where id = ${id}::uuid`.execute(
    one.db,
  )
  t.equal(await stateOf(staged), 'active')
  t.equal(await overdue.sweep(), 1)
  await held.query('rollback')
  held.release()
  t.match(await slow, { status: 409, body: { code: 'transaction-not-active', detail: /given up/ } })
  t.notOk(await isCommitted(staged))
  const again = await one.post(`${staged.way}/commit`)
  t.equal(again.status, 200, again.text)
  t.ok(await isCommitted(staged))
})
