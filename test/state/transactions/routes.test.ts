import { randomUUID } from 'node:crypto'
import t from 'tap'
import { startTestServer } from '../../support/server.ts'
import { beginAt, clientOf, get, list, put, remove } from '../../support/state-transactions.ts'

const limits = {
  stateTransactionsOpenMax: 5,
  stateOperationsMax: 6,
  stateTransactionBytesMax: 1000,
}
const server = await startTestServer(t, limits, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })

const entry = async (namespace: string, key: string) =>
  (await server.get(`/state/${namespace}/entries/${key}`)).body
const write = async (namespace: string, ...operations: object[]) => {
  const answer = await server.post(`/state/${namespace}/batch`, { operations })
  if (answer.status !== 200) throw new Error(answer.text)
}

t.test('what is written is seen by the transaction alone until it commits', async (t) => {
  await write('first', put('old', 1), put('gone', 1))
  const tx = await beginAt(server, { label: 'first', idleTimeoutMs: 5000 })
  t.equal(tx.begun.headers.get('location'), tx.path)
  t.match(tx.begun.body, {
    txId: tx.id,
    state: 'active',
    isolationLevel: 'RepeatableRead',
    label: 'first',
    idleTimeoutMs: 5000,
    server: server.address,
    numWrites: 0,
    savepoints: [],
  })
  const done = await tx.run('first', [
    get('old'),
    put('old', { n: 2 }, { metadata: { of: 'tx' } }),
    get('old'),
    put('new', 1),
    remove('gone'),
    get('gone'),
  ])
  t.equal(done.status, 200, done.text)
  const of = (key: string) => ({ namespace: 'first', key })
  t.match(done.body.results[0], { status: 200, ...of('old'), version: 1, revision: 1, value: 1 })
  t.strictSame(done.body.results.slice(1), [
    { status: 200, ...of('old'), version: 2, staged: true },
    {
      status: 200,
      ...of('old'),
      version: 2,
      staged: true,
      value: { n: 2 },
      metadata: { of: 'tx' },
    },
    { status: 201, ...of('new'), version: 1, staged: true },
    { status: 200, ...of('gone'), staged: true },
    { status: 404, code: 'entry-not-found', ...of('gone') },
  ])
  t.match((await tx.look()).body, { state: 'active', numWrites: 3 })
  t.match(
    [await entry('first', 'old'), await entry('first', 'new')],
    [{ value: 1 }, { status: 404 }],
  )
  const committed = await tx.commit()
  t.equal(committed.status, 200, committed.text)
  t.match(committed.headers.get('consistency-token'), /^[0-9A-F]+\/[0-9A-F]+$/)
  t.match(committed.body, {
    txId: tx.id,
    state: 'committed',
    stateResults: [
      { namespace: 'first', revision: 2, results: [{ status: 200, version: 2 }, {}, {}] },
    ],
  })
  t.match(await entry('first', 'old'), { version: 2, revision: 2, value: { n: 2 } })
  t.match(await entry('first', 'new'), { version: 1, revision: 2 })
  t.match(await entry('first', 'gone'), { status: 404 })
  t.equal((await tx.commit()).text, committed.text, 'committed again, it answers the same')
  t.equal((await tx.look()).text, committed.text)
  t.equal((await beside.get(tx.path)).text, committed.text, 'also elsewhere')
  t.match((await server.get(`/transactions/${tx.id}`)).body, {
    state: 'committed',
    label: 'first',
    stateResults: committed.body.stateResults,
  })
  t.match((await tx.run('first', [get('old')])).body, {
    status: 409,
    code: 'transaction-not-active',
    state: 'committed',
  })
})

t.test('several namespaces are written together', async (t) => {
  const tx = await beginAt(server, { isolationLevel: 'Serializable' })
  await tx.run('one', [put('a', 1)])
  await tx.run('two', [put('a', 2), put('b', 2)])
  await tx.run('three', [get('a')])
  const { body } = await tx.commit()
  t.match(body.stateResults, [
    { namespace: 'one', revision: 1, results: [{}] },
    { namespace: 'two', revision: 1, results: [{}, {}] },
    { namespace: 'three', revision: 0, results: [] },
  ])
  t.match([await entry('one', 'a'), await entry('two', 'b')], [{ value: 1 }, { value: 2 }])
})

t.test('a rollback forgets all', async (t) => {
  const tx = await beginAt(server)
  await tx.run('back', [put('a', 1)])
  t.match((await tx.rollBack()).body, { txId: tx.id, state: 'rolled-back', endedAt: /^\d/ })
  t.match(await entry('back', 'a'), { status: 404 })
  for (const answer of [await tx.rollBack(), await tx.commit()]) {
    t.match(answer.body, { status: 409, code: 'transaction-not-active', state: 'rolled-back' })
  }
  t.match((await tx.look()).body, { state: 'rolled-back' })
})

t.test('what only reads commits without a write', async (t) => {
  await write('only', put('a', 1))
  for (const isolationLevel of ['ReadCommitted', 'Serializable']) {
    const tx = await beginAt(server, { isolationLevel })
    await tx.run('only', [get('a'), list()])
    await write('only', put('a', 2))
    const committed = await tx.commit()
    t.match(committed.body, { state: 'committed', committedAt: /^\d/ }, committed.text)
    t.equal((await tx.commit()).text, committed.text)
  }
})

t.test(
  'a refused operation refuses its request, and leaves the transaction as it was',
  async (t) => {
    await write('expect', put('a', 1))
    const tx = await beginAt(server)
    const refused = await tx.run('expect', [put('b', 1), put('a', 2, { expectedVersion: 4 })])
    const told = { namespace: 'expect', key: 'a', index: 1, expected: 4, actual: 1 }
    t.match(refused.body, { status: 412, code: 'version-mismatch', ...told })
    t.match((await tx.look()).body, { numWrites: 0 })
    const own = await tx.run('expect', [
      put('a', 2, { expectedVersion: 1 }),
      put('a', 3, { expectedVersion: 2 }),
      remove('c', { expectedVersion: 0 }),
      put('d', 1, { expectedVersion: 0 }),
      remove('d', { expectedVersion: 1 }),
    ])
    t.strictSame(
      own.body.results.map(({ status }: { status: number }) => status),
      [200, 200, 404, 201, 200],
      own.text,
    )
    t.equal((await tx.commit()).status, 200)
    t.match(await entry('expect', 'a'), { version: 2, value: 3 })
    t.match(await entry('expect', 'd'), { status: 404 })
  },
)

t.test('an entry that was deleted before goes on with its version', async (t) => {
  for (const isolationLevel of ['ReadCommitted', 'RepeatableRead', 'Serializable']) {
    const namespace = `again-${isolationLevel}`
    await write(namespace, put('a', 1))
    await write(namespace, remove('a'))
    const tx = await beginAt(server, { isolationLevel })
    await tx.run(namespace, [put('a', 2)])
    const { body } = await tx.run(namespace, [remove('a'), get('a'), put('a', 3), get('a')])
    t.match(body.results, [
      { status: 200 },
      { status: 404 },
      { status: 201, version: 3 },
      { value: 3, version: 3 },
    ])
    t.equal((await tx.commit()).status, 200, isolationLevel)
    t.match(await entry(namespace, 'a'), { value: 3, version: 3 })
  }
})

t.test('a namespace that requires preconditions gets them', async (t) => {
  await server.call('PUT', '/state/strict', { json: { requirePrecondition: true } })
  const careless = await beginAt(server)
  await careless.run('strict', [put('a', 1)])
  t.match((await careless.commit()).body, { status: 428, code: 'precondition-required' })
  t.match((await careless.look()).body, { state: 'rolled-back' })
  const careful = await beginAt(server)
  await careful.run('strict', [put('a', 1, { expectedVersion: 0 }), put('a', 2)])
  t.equal((await careful.commit()).status, 200)
})

t.test('lists have what the transaction has written', async (t) => {
  const keys = ['a', 'b', 'c', 'd', 'e']
  await write('listed', ...keys.map((key) => put(key, 1)))
  const tx = await beginAt(server, { isolationLevel: 'Serializable' })
  await tx.run('listed', [remove('b'), put('bb', 2), put('d', 2), put('f', 2), put('x', 2)])
  const page = async (of: object) => {
    const answer = await tx.run('listed', [list(of)])
    const [{ items, next }] = answer.body.results
    return [items.map(({ key, value }: { key: string; value: number }) => `${key}${value}`), next]
  }
  t.strictSame(await page({}), [['a1', 'bb2', 'c1', 'd2', 'e1', 'f2', 'x2'], undefined])
  t.strictSame(await page({ start: 'b', end: 'e' }), [['bb2', 'c1', 'd2'], undefined])
  t.strictSame(await page({ prefix: 'b' }), [['bb2'], undefined])
  const all: string[] = []
  let after: string | undefined
  do {
    const [items, next] = await page({ limit: 2, after })
    all.push(...items)
    after = next
  } while (after !== undefined)
  t.strictSame(all, ['a1', 'bb2', 'c1', 'd2', 'e1', 'f2', 'x2'])
  await tx.rollBack()
})

t.test('values keep their tokens, and bytes are bytes', async (t) => {
  const tx = await beginAt(server)
  const raw =
    '{"namespace":"exact","operations":[{"put":{"key":"n","value":[1.0, 12345678901234567890]}},{"put":{"key":"b","valueBase64":"AAE=","contentType":"image/x"}},{"get":{"key":"n"}},{"get":{"key":"b"}}]}'
  const headers = { 'content-type': 'application/json' }
  const answer = await server.call('POST', `${tx.path}/operations`, { raw, headers })
  t.match(answer.text, '"value":[1.0,12345678901234567890]')
  t.match(answer.body.results[3], { valueBase64: 'AAE=', contentType: 'image/x' })
  await tx.commit()
  const { text } = await server.get('/state/exact/entries/n')
  t.match(text, '"value":[1.0,12345678901234567890]')
})

t.test('requests with a key are done once', async (t) => {
  const key = () => ({ 'idempotency-key': randomUUID() })
  const once = key()
  const begun = await server.post('/state/transactions', {}, once)
  const again = await server.post('/state/transactions', {}, once)
  t.equal(again.text, begun.text)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  const tx = clientOf(server, { id: begun.body.txId, begun })
  const ofRun = key()
  const operations = [put('a', 1, { expectedVersion: 0 })]
  const done = await tx.run('once', operations, ofRun)
  t.equal(done.status, 200, done.text)
  const redone = await tx.run('once', operations, ofRun)
  t.equal(redone.text, done.text)
  t.equal(redone.headers.get('idempotency-replayed'), 'true')
  t.match((await tx.run('once', [put('b', 1)], ofRun)).body, { code: 'idempotency-key-reused' })
  await write('once', put('a', 7))
  const ofCommit = key()
  const refused = await tx.commit(ofCommit)
  t.match(refused.body, { status: 409, code: 'serialization-failure', retry: true })
  t.equal((await tx.commit(ofCommit)).text, refused.text, 'a refusal too is kept')
  const other = await beginAt(server)
  const ofRollback = key()
  const back = await other.rollBack(ofRollback)
  t.equal((await other.rollBack(ofRollback)).text, back.text)
})

t.test('sizes are limited', async (t) => {
  const tx = await beginAt(server, { isolationLevel: 'Serializable' })
  const puts = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => put(`k${from + index}`, 1))
  const many = await tx.run('sizes', puts(0, 7))
  t.match(many.body, { status: 413, code: 'too-many-actions', maxActions: 6 })
  t.equal((await tx.run('sizes', puts(0, 4))).status, 200)
  const more = await tx.run('sizes', puts(4, 7))
  t.match(more.body, { status: 413, code: 'too-many-actions', maxActions: 6 })
  t.match((await tx.look()).body, { numWrites: 4 })
  const large = await tx.run('sizes', [put('k0', 'x'.repeat(1100))])
  t.match(large.body, { status: 413, code: 'body-too-large', maxBytes: 1000 })
  t.equal((await tx.run('sizes', [put('k0', 'x'.repeat(700))])).status, 200)
  t.equal((await tx.run('sizes', [put('k0', 'y'.repeat(700))])).status, 200, 'in its place')
  const lists = await tx.run('sizes', Array(11).fill(list()))
  t.equal(lists.body.code, 'too-many-actions')
  await tx.rollBack()
})

t.test('so many may be open at a server', async (t) => {
  const open = await Promise.all(Array.from({ length: 5 }, () => beginAt(server)))
  const refused = await server.post('/state/transactions', {})
  t.match(refused.body, { status: 429, code: 'overloaded' })
  t.ok(refused.headers.get('retry-after'))
  t.equal((await beside.post('/state/transactions', {})).status, 201, 'not of all servers')
  const { text } = await server.get('/metrics')
  t.match(text, /^deltaworks_state_transactions 5$/m)
  await open[0]?.rollBack()
  open.push(await beginAt(server))
  await Promise.all(open.slice(1).map((tx) => tx.rollBack()))
})

t.test('another server says where the transaction is', async (t) => {
  const tx = await beginAt(server)
  await tx.run('elsewhere', [put('a', 1)])
  const there = clientOf(beside, tx)
  const key = { 'idempotency-key': randomUUID() }
  const answers = [
    await there.look(),
    await there.run('elsewhere', [get('a')], key),
    await there.commit(key),
    await there.rollBack(),
    await beside.post(`${tx.path}/savepoints`, { name: 's' }),
  ]
  for (const { body } of answers) {
    t.match(body, { status: 421, code: 'transaction-elsewhere', server: server.address })
  }
  t.equal((await tx.commit(key)).status, 200, 'which is no answer to a key')
  const named = await startTestServer(
    t,
    { serverUrl: 'http://named.example.com' },
    { beside: server, mirror: false },
  )
  const other = await beginAt(named)
  t.match((await server.get(other.path)).body, { status: 421, server: 'http://named.example.com' })
})

t.test('bad input is refused with its place', async (t) => {
  const tx = await beginAt(server)
  const unknown = clientOf(server, { ...tx, id: randomUUID() })
  for (const answer of [await unknown.look(), await unknown.commit(), await unknown.rollBack()]) {
    t.match(answer.body, { status: 404, code: 'transaction-not-found' })
  }
  const faults = async (path: string, body: object) => {
    const answer = await server.post(path, body)
    t.equal(answer.body.code, 'invalid-request', answer.text)
    return answer.body.errors[0].pointer
  }
  t.equal(await faults('/state/transactions', { isolationLevel: 'None' }), '/isolationLevel')
  t.equal(await faults('/state/transactions', { idleTimeoutMs: 0 }), '/idleTimeoutMs')
  t.equal(await faults('/state/transactions', { idleTimeoutMs: 60_001 }), '/idleTimeoutMs')
  const operations = `${tx.path}/operations`
  t.equal(await faults(operations, { namespace: 'bad', operations: [{}] }), '/operations/0')
  t.equal(await faults(operations, { namespace: 'bad', operations: [] }), '/operations')
  const noValue = { namespace: 'bad', operations: [get('a'), { put: { key: 'a' } }] }
  t.equal(await faults(operations, noValue), '/operations/1/put')
  t.equal((await server.get('/state/transactions/no-id/entries')).status, 404)
  t.match((await server.get('/state/transactions/entries')).body, { status: 400 })
  await tx.rollBack()
})

t.test('no namespace has the name of the address of transactions', async (t) => {
  const answers = [
    await server.call('PUT', '/state/transactions/entries/a', { json: { value: 1 } }),
    await server.get('/state/transactions/entries/a'),
    await server.post('/transactions', {
      commit: true,
      state: [{ namespace: 'transactions', operations: [put('a', 1)] }],
    }),
  ]
  for (const { status, body } of answers) {
    t.equal(status, 400)
    t.match(body.errors[0].message, 'must not be "transactions"')
  }
  const set = await server.call('PUT', '/state/transactions', { json: {} })
  t.match(set.body, { status: 405, code: 'method-not-allowed' })
})
