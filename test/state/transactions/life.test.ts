import { sql } from 'kysely'
import t from 'tap'
import { OpenTransaction } from '../../../src/state/transactions/open-transaction.ts'
import { findStateTransaction } from '../../../src/state/transactions/queries.ts'
import { endedTransactions } from '../../../src/state/transactions/sweeps.ts'
import type { View } from '../../../src/state/transactions/view.ts'
import { startTestServer } from '../../support/server.ts'
import { beginAt, get, put, type TransactionClient } from '../../support/state-transactions.ts'

const server = await startTestServer(t, {}, { mirror: false })
const limits = { stateTransactionAgeMsMax: 300 }
const beside = await startTestServer(t, limits, { beside: server, mirror: false })

/** Processes of PostgreSQL that hold a moment for a transaction. */
async function pinned(): Promise<number[]> {
  const { rows } = await sql<{ pid: number }>`
    select pid from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction'`.execute(server.db)
  return rows.map(({ pid }) => pid)
}

/** A row as the database tells it. */
async function beginRow() {
  const tx = await beginAt(server)
  const row = await findStateTransaction(server.db, tx.id)
  if (row === undefined) throw new Error('no transaction was begun')
  await tx.rollBack()
  return { row }
}

/** Waits until it is over, by asking who does not have it. */
async function over({ path }: TransactionClient): Promise<void> {
  while ((await beside.get(path)).status === 421);
}

t.test('a connection is held from the first read to the end', async (t) => {
  for (const level of ['ReadCommitted', 'RepeatableRead', 'Serializable']) {
    const held = level === 'ReadCommitted' ? 0 : 1
    for (const ending of ['commit', 'rollBack'] as const) {
      const tx = await beginAt(server, { isolationLevel: level })
      t.equal((await pinned()).length, 0)
      await tx.run('held', [get('a'), put('b', 1)])
      t.equal((await pinned()).length, held, level)
      t.equal((await tx[ending]()).status, 200)
      t.equal((await pinned()).length, 0)
    }
  }
})

t.test('one that is left alone is rolled back', async (t) => {
  const tx = await beginAt(server, { idleTimeoutMs: 50 })
  await tx.run('idle', [get('a'), put('a', 1)])
  await over(tx)
  t.match((await tx.commit()).body, {
    status: 409,
    code: 'transaction-not-active',
    state: 'expired',
  })
  t.match((await tx.look()).body, { state: 'expired', endedAt: /^\d/ })
  t.match((await beside.get(tx.path)).body, { state: 'expired' })
  t.equal((await server.get('/state/idle/entries/a')).status, 404)
  t.equal((await pinned()).length, 0)
})

t.test('one that is gone on with is not, until it is too old', async (t) => {
  const tx = await beginAt(beside, { idleTimeoutMs: 250 })
  const begun = Date.parse(tx.begun.body.createdAt)
  t.equal(Date.parse(tx.begun.body.expiresAt) - begun, 300)
  let answer = await tx.run('aged', [put('a', 1)])
  while (answer.status === 200) answer = await tx.run('aged', [put('a', 1)])
  t.match(answer.body, { code: 'transaction-not-active', state: 'expired' })
  t.equal((await server.get('/state/aged/entries/a')).status, 404)
})

t.test('one whose moment is lost cannot go on', async (t) => {
  for (const isolationLevel of ['RepeatableRead', 'Serializable']) {
    const tx = await beginAt(server, { isolationLevel })
    await tx.run('lost', [get('a')])
    for (const pid of await pinned())
      await sql`select pg_terminate_backend(${pid})`.execute(server.db)
    const answer = await tx.run('lost', [get('a')])
    t.match(answer.body, { status: 409, code: 'serialization-failure', retry: true }, answer.text)
    t.match((await tx.look()).body, { state: 'rolled-back' })
    t.match((await tx.commit()).body, { code: 'transaction-not-active', state: 'rolled-back' })
  }
  const other = await beginAt(server)
  t.equal((await other.run('lost', [get('a')])).status, 200, 'others are as they were')
  await other.rollBack()
})

t.test('requests that come at once are done one after the other', async (t) => {
  const tx = await beginAt(server)
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => tx.run('crowd', [get('sum'), put(`k${index}`, 1)])),
  )
  const done = answers.filter(({ status }) => status === 200)
  t.match((await tx.look()).body, { numWrites: done.length })
  for (const { status, body } of answers) {
    if (status !== 200) t.match(body, { status: 429, code: 'overloaded' })
  }
  const commits = await Promise.all([tx.commit(), tx.commit(), tx.rollBack()])
  t.strictSame(
    commits.map(({ status }) => status),
    [200, 200, 409],
  )
  t.equal(commits[1].text, commits[0].text)
})

t.test('so many requests wait for their turn', async (t) => {
  const { row } = await beginRow()
  const view = { close: async () => {} } as View
  const transaction = new OpenTransaction({ row, view, ageMsMax: 60_000, onEnd: () => {} })
  let letGo = () => {}
  const free = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const waiting = Array.from({ length: 10 }, (_, index) =>
    transaction.run(() => free.then(() => index)),
  )
  t.throws(() => transaction.run(async () => 'more'), { code: 'overloaded' })
  letGo()
  t.strictSame(await Promise.all(waiting), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.equal(await transaction.run(async () => 'next'), 'next')
  await transaction.end('rolled-back')
  await t.rejects(
    transaction.run(async () => 'late'),
    { code: 'transaction-not-active' },
  )
})

t.test('what is known of one that is over is forgotten in time', async (t) => {
  const tx = await beginAt(server)
  await tx.rollBack()
  await sql`update state_transactions set expires_at = clock_timestamp() - interval '1 s'
    where id = ${tx.id}::uuid`.execute(server.db)
  const sweep = (retentionMs: number) =>
    endedTransactions(server.db, { idempotencyRetentionMs: retentionMs }).sweep()
  await sweep(60_000)
  t.match((await tx.look()).body, { state: 'rolled-back' })
  while ((await sweep(1)) > 0);
  t.match((await tx.look()).body, { status: 404, code: 'transaction-not-found' })
})
