import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

/** Commits of more than a few actions are staged. */
const server = await startTestServer(t, { heldActionsMax: 5 }, { mirror: false })
const { get, post } = server

async function beginRun(runId: string): Promise<void> {
  const { status } = await post('/runs', { runId })
  t.equal(status, 201)
}

/** The next pair of a run. */
async function take(runId: string): Promise<{ appId: string; version: number }> {
  return (await post(`/runs/${runId}/next`)).body.idempotency
}

/** The attempts of a run in their order, without what differs from test to test. */
async function attemptsOf(runId: string, query = ''): Promise<Record<string, unknown>[]> {
  const { body } = await get(`/runs/${runId}/attempts${query}`)
  return body.items
    .map(({ attemptId: _, attemptedAt: _at, ...attempt }: Record<string, unknown>) => attempt)
    .toReversed()
}

async function gapsOf(runId: string): Promise<number[]> {
  const { body } = await get(`/runs/${runId}/gaps`)
  return body.items.map(({ commitSequence }: { commitSequence: number }) => commitSequence)
}

t.test('commits to one table are recorded with what became of them', async (t) => {
  const tableId = await server.makeTable({ name: 'attempts.single' })
  await beginRun('single')
  const idempotency = await take('single')
  t.strictSame(await gapsOf('single'), [0])
  const proposal = { idempotency, actions: [add('a')] }
  t.equal((await server.commit(tableId, proposal)).status, 201)
  t.equal((await server.commit('attempts.single', proposal)).status, 200)
  const second = await take('single')
  const refused = { idempotency: second, expectedVersion: 9, actions: [add('b')] }
  const { body } = await server.commit('attempts.single', refused)
  t.strictSame(await gapsOf('single'), [1])
  t.strictSame(await attemptsOf('single'), [
    { commitSequence: 0, outcome: 'committed', tableId, version: 1 },
    { commitSequence: 0, outcome: 'duplicate', tableId, version: 1 },
    {
      commitSequence: 1,
      outcome: 'refused',
      tableId,
      problem: { code: 'version-conflict', detail: body.detail },
    },
  ])
  t.equal((await attemptsOf('single', '?outcome=refused')).length, 1)
  t.equal((await attemptsOf('single', '?commitSequence=0')).length, 2)
  const { text } = await get('/runs/single/attempts', { accept: 'application/x-ndjson' })
  t.equal(text.trimEnd().split('\n').length, 3)
})

t.test('a large commit in lines is recorded like others', async (t) => {
  const table = await server.makeTable()
  await beginRun('lines')
  const commit = async (actions: object[]) => {
    const proposal = { idempotency: await take('lines') }
    const raw = [{ proposal }, ...actions].map((line) => `${JSON.stringify(line)}\n`).join('')
    const headers = { 'content-type': 'application/x-ndjson' }
    return server.call('POST', `/tables/${table}/commits`, { raw, headers })
  }
  const many = Array.from({ length: 20 }, (_, at) => add(`${at}`))
  t.equal((await commit(many)).status, 201)
  t.equal((await commit([...many, add('')])).status, 422)
  t.match(await attemptsOf('lines'), [
    { commitSequence: 0, outcome: 'committed', version: 1 },
    { commitSequence: 1, outcome: 'refused', problem: { code: 'invalid-actions' } },
  ])
  t.strictSame(await gapsOf('lines'), [1])
})

t.test('one number covers several tables in a transaction', async (t) => {
  const tables = [await server.makeTable(), await server.makeTable()]
  const bystander = await server.makeTable()
  await beginRun('several')
  const idempotency = await take('several')
  const commit = (actions: object[]) => {
    const parts = tables.map((table) => ({ table, idempotency, actions: [add('a')] }))
    return post('/transactions', {
      commit: true,
      tables: [...parts, { table: bystander, actions }],
    })
  }
  const first = await commit([add('a')])
  t.equal(first.status, 201)
  t.equal((await commit([add('')])).status, 422)
  const committed = tables.map((tableId) => ({
    commitSequence: 0,
    outcome: 'committed',
    tableId,
    version: 1,
    transactionId: first.body.id,
  }))
  const found = await attemptsOf('several')
  t.strictSame(found.slice(0, 2), committed)
  // Refused for the table that has no part in the run, and not kept, so without an id to look up.
  t.match(
    found.slice(2),
    tables.map((tableId) => ({
      tableId,
      outcome: 'refused',
      problem: { code: 'invalid-actions', detail: /^tables\[2\]/ },
    })),
  )
  t.equal(found.length, 4)
  t.notOk(found.at(-1)?.['transactionId'])
  t.strictSame(await gapsOf('several'), [])
})

t.test('a staged transaction is recorded when it is committed or refused', async (t) => {
  const tables = [await server.makeTable(), await server.makeTable()]
  await beginRun('staged')
  const idempotency = await take('staged')
  const { id } = (
    await post('/transactions', {
      tables: tables.map((table) => ({
        table,
        idempotency,
        expectedVersion: 1,
        actions: [add('a')],
      })),
    })
  ).body
  t.strictSame(await attemptsOf('staged'), [])
  await server.commit(tables[1] ?? '', { actions: [add('b')] })
  t.equal((await post(`/transactions/${id}/commit`)).status, 409)
  const stage = { idempotency, expectedVersion: 2, actions: [add('a')] }
  await server.call('PUT', `/transactions/${id}/tables/${tables[1]}`, { json: stage })
  t.equal((await post(`/transactions/${id}/commit`)).status, 200)
  t.equal((await post(`/transactions/${id}/commit`)).status, 200)
  t.match(await attemptsOf('staged'), [
    ...tables.map((tableId) => ({
      tableId,
      outcome: 'refused',
      transactionId: id,
      problem: { code: 'version-conflict', detail: /^tables\[1\]/ },
    })),
    { tableId: tables[0], outcome: 'committed', transactionId: id, version: 1 },
    { tableId: tables[1], outcome: 'committed', transactionId: id, version: 2 },
  ])
  t.equal((await attemptsOf('staged')).length, 4)
})

t.test('a table that is not there is named as the writer has named it', async (t) => {
  await beginRun('lost')
  const idempotency = await take('lost')
  const id = '00000000-0000-4000-8000-000000000000'
  for (const table of ['no.table', id]) {
    t.equal((await server.commit(table, { idempotency, actions: [] })).status, 404)
  }
  t.match(await attemptsOf('lost'), [
    { tableName: 'no.table', tableId: undefined, problem: { code: 'table-not-found' } },
    { tableName: undefined, tableId: id, problem: { code: 'table-not-found' } },
  ])
})

t.test('nothing else is recorded', async (t) => {
  const table = await server.makeTable()
  await beginRun('quiet')
  const idempotency = await take('quiet')
  const proposal = { idempotency, actions: [add('a')] }
  t.equal((await post(`/tables/${table}/commits/check`, proposal)).status, 200)
  t.equal((await server.commit(table, { ...proposal, more: 1 })).status, 400)
  t.equal((await server.commit(table, { actions: [add('b')] })).status, 201)
  const other = { appId: 'no-run', version: 1 }
  t.equal((await server.commit(table, { idempotency: other, actions: [add('c')] })).status, 201)
  t.strictSame(await attemptsOf('quiet'), [])
  const key = { 'idempotency-key': 'quiet' }
  for (let count = 0; count < 3; count += 1) await server.commit(table, proposal, key)
  t.match(await attemptsOf('quiet'), [{ outcome: 'committed' }])
  t.equal((await attemptsOf('quiet')).length, 1)
})

t.test('a number that came too late for its table stays a gap', async (t) => {
  const table = await server.makeTable()
  await beginRun('late')
  const [first, second] = [await take('late'), await take('late')]
  await server.commit(table, { idempotency: second, actions: [add('b')] })
  const late = await server.commit(table, { idempotency: first, actions: [add('a')] })
  t.match(late, { status: 200, body: { status: 'duplicate' } })
  t.strictSame(await gapsOf('late'), [0])
  const other = await server.makeTable()
  await server.commit(other, { idempotency: first, actions: [add('a')] })
  t.strictSame(await gapsOf('late'), [])
})

t.test('a number that was committed before it was given out is no gap', async (t) => {
  const table = await server.makeTable()
  const before = { appId: 'early', version: 0 }
  await server.commit(table, { idempotency: before, actions: [add('a')] })
  await beginRun('early')
  const idempotency = await take('early')
  t.strictSame(await gapsOf('early'), [0])
  await server.commit(table, { idempotency, actions: [add('a')] })
  t.match(await attemptsOf('early'), [{ outcome: 'duplicate', version: 1 }])
  t.strictSame(await gapsOf('early'), [])
  await server.commit(table, { idempotency: { ...before, version: 1 }, actions: [add('b')] })
  t.equal((await take('early')).version, 1)
  t.strictSame(await gapsOf('early'), [])
})

t.test('commits under a finished run are still recorded', async (t) => {
  const table = await server.makeTable()
  await beginRun('over')
  const idempotency = await take('over')
  await post('/runs/over/finish', { status: 'succeeded' })
  t.equal((await server.commit(table, { idempotency, actions: [add('a')] })).status, 201)
  t.match(await attemptsOf('over'), [{ outcome: 'committed' }])
})
