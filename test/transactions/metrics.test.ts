import t from 'tap'
import { overdueTransactions } from '../../src/transactions/staged/sweeps.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

/** The numbers of `/metrics`, by name and labels. */
async function readMetrics(): Promise<Map<string, number>> {
  const { text } = await server.get('/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith('deltaworks_'))
  return new Map(
    lines
      .map((line) => line.split(/ (?=[^ ]+$)/))
      .map(([name = '', value]) => [name, Number(value)]),
  )
}

t.test('transactions and commits are counted by what became of them and why', async (t) => {
  const [one, two] = [await server.makeTable(), await server.makeTable()]
  const key = { 'idempotency-key': 'counted' }
  const both = { commit: true, tables: [one, two].map((table) => ({ table, actions: [add('a')] })) }
  t.match(await server.post('/transactions', both, key), { status: 201 })
  t.match(await server.post('/transactions', both, key), { status: 201 })
  const late = { commit: true, tables: [{ table: one, expectedVersion: 7, actions: [add('b')] }] }
  t.match(await server.post('/transactions', late), { status: 409 })
  const { id } = (await server.post('/transactions', {})).body
  t.match(await server.post(`/transactions/${id}/rollback`), { status: 200 })
  await server.post('/transactions', { expiresInMs: 1 })
  const app = { idempotency: { appId: 'app', version: 1 }, actions: [add('c')] }
  t.match(await server.commit(one, app), { status: 201 })
  t.match(await server.commit(one, app), { status: 200 })
  t.match(await server.commit(one, { expectedVersion: 9, actions: [add('d')] }), { status: 409 })
  let expired = 0
  const sweep = overdueTransactions(server.db, (count) => {
    expired += count
  })
  while (expired === 0) await sweep.sweep()
  t.equal(expired, 1)
  const metrics = await readMetrics()
  const told = [...metrics].filter(([name]) => /_(commits|transactions)_total/.test(name))
  t.strictSame(Object.fromEntries(told), {
    'deltaworks_transactions_total{outcome="committed",reason=""}': 1,
    'deltaworks_transactions_total{outcome="replayed",reason=""}': 1,
    'deltaworks_transactions_total{outcome="refused",reason="version-conflict"}': 1,
    'deltaworks_transactions_total{outcome="rolled-back",reason=""}': 1,
    'deltaworks_commits_total{outcome="committed",reason=""}': 1,
    'deltaworks_commits_total{outcome="duplicate",reason=""}': 1,
    'deltaworks_commits_total{outcome="refused",reason="version-conflict"}': 1,
  })
  t.equal(metrics.get('deltaworks_transaction_tables_sum'), 2)
  t.equal(metrics.get('deltaworks_transaction_actions_sum'), 2)
  t.equal(metrics.get('deltaworks_transaction_duration_seconds_count{outcome="committed"}'), 1)
  t.equal(metrics.get('deltaworks_commit_wait_seconds_count'), 6)
})
