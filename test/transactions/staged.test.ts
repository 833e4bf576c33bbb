import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import t from 'tap'
import { overdueTransactions, stagedLeftovers } from '../../src/transactions/staged/sweeps.ts'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const server = await startTestServer(t, { heldActionsMax: 100 }, { mirror: false })
const beside = await startTestServer(t, {}, { beside: server, mirror: false })

const ndjson = { 'content-type': 'application/x-ndjson' }
const linesOf = (actions: readonly object[]) =>
  actions.map((action) => `${JSON.stringify(action)}\n`).join('')
const codeOf = ({ status, body }: TestAnswer) => [status, body?.code]

async function begin(body: object = {}, on: TestServer = server): Promise<string> {
  const answer = await on.post('/transactions', body)
  if (answer.status !== 201) throw new Error(answer.text)
  return `/transactions/${answer.body.id}`
}

const put = (way: string, table: string, body: object, headers = {}) =>
  server.call('PUT', `${way}/tables/${table}`, { json: body, headers })

const sendLines = (way: string, table: string, actions: readonly object[], headers = {}) =>
  server.call('POST', `${way}/tables/${table}/actions`, {
    raw: linesOf(actions),
    headers: { ...ndjson, ...headers },
  })

async function pathsIn(table: string): Promise<string[]> {
  const { body } = await server.get(`/tables/${table}/files`)
  return body.items.map((item: { add: { path: string } }) => item.add.path).sort()
}

async function numRows(way: string): Promise<number> {
  const id = way.split('/').at(-1)
  const { rows } = await sql<{ count: number }>`
    select (select count(*) from transaction_tables where transaction_id = ${id}::uuid)
      + (select count(*) from transaction_chunks where transaction_id = ${id}::uuid)
      + (select count(*) from transaction_lines l join transaction_chunks c on c.id = l.chunk_id
          where c.transaction_id = ${id}::uuid) as count`.execute(server.db)
  return rows[0]?.count ?? 0
}

async function sweep(): Promise<void> {
  const sweeps = [
    overdueTransactions(server.db, () => {}),
    stagedLeftovers(server.db, server.config),
  ]
  for (const one of sweeps) while ((await one.sweep()) > 0);
}

t.test('what is staged over several requests and servers is committed at one moment', async (t) => {
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => server.makeTable()))
  await server.commit(two ?? '', { actions: [add('old')] })
  const begun = await server.post('/transactions', {
    label: 'load',
    priority: 7,
    tables: [{ table: one, operation: 'MERGE' }],
  })
  const way = `/transactions/${begun.body.id}`
  t.equal(begun.status, 201)
  t.equal(begun.headers.get('location'), way)
  t.match(begun.body, { state: 'active', label: 'load', priority: 7 })
  t.match(begun.body.tables, [{ tableId: one, status: 'staged', numActions: 0 }])
  const name = (await server.get(`/tables/${two}`)).body.name
  t.match(await put(way, name, { expectedVersion: 2, actions: [add('wrong')] }), {
    status: 200,
    body: { tableId: two, numActions: 1, proposal: { expectedVersion: 2 } },
  })
  const raw = `{"expectedVersion":2,"operationParameters":{"n":1.0},"actions":[${JSON.stringify(remove('old'))}]}`
  await server.call('PUT', `${way}/tables/${two}`, {
    raw,
    headers: { 'content-type': 'application/json' },
  })
  const more = await beside.post(`${way}/tables/${one}/actions`, [add('a'), add('b')])
  t.match(more, { status: 200, body: { tableId: one, numActions: 2, status: 'staged' } })
  t.match(more.headers.get('consistency-token'), /\//)
  t.match(await sendLines(way, one ?? '', [add('c')]), { body: { numActions: 3 } })
  await server.post(`${way}/tables/${three}/actions`, [add('x')])
  const unstaged = await server.call('DELETE', `${way}/tables/${three}`)
  t.match(unstaged, { status: 200, body: { tableId: three, status: 'unstaged' } })
  t.strictSame(codeOf(await server.call('DELETE', `${way}/tables/${three}`)), [
    404,
    'table-not-staged',
  ])
  const { body } = await beside.get(way)
  t.match(body, { state: 'active', tables: [{ tableId: one }, { tableId: two }] })
  t.equal(body.tables.length, 2)
  t.strictSame(await pathsIn(one ?? ''), [])

  const committed = await beside.post(`${way}/commit`)
  t.equal(committed.status, 200, committed.text)
  const [first, second] = committed.body.tables
  t.match(first, { tableId: one, version: 1, status: 'committed', numAddedFiles: 3 })
  t.match(second, { tableId: two, version: 2, status: 'committed', numRemovedFiles: 1 })
  t.equal(first.inCommitTimestamp, second.inCommitTimestamp)
  t.equal(committed.body.createdAt, begun.body.createdAt)
  t.strictSame((await server.get(way)).body, committed.body)
  t.strictSame((await server.post(`${way}/commit`)).body, committed.body, 'committed twice')
  t.match((await server.get(`/tables/${two}/commits/2`)).text, /"n":1\.0/)
  t.match((await server.get(`/tables/${one}/commits`)).body.items[0], {
    operation: 'MERGE',
    transactionId: begun.body.id,
    commitInfo: { txnId: begun.body.id },
  })
  t.strictSame(await pathsIn(one ?? ''), ['a', 'b', 'c'])
  t.strictSame(await pathsIn(two ?? ''), [])
  t.strictSame(await pathsIn(three ?? ''), [])
  await sweep()
  t.equal(await numRows(way), 0)
  t.strictSame((await server.get(way)).body, committed.body)
})

t.test('what is too much for memory is sent on, and committed in order', async (t) => {
  const [one = '', two = ''] = await Promise.all([1, 2].map(() => server.makeTable()))
  const way = await begin({ isolationLevel: 'Serializable' })
  const long = 'x'.repeat(1000)
  const adds = (from: number) =>
    Array.from({ length: 1500 }, (_, at) => add(`${from + at}`, { tags: { long } }))
  for (const from of [0, 1500]) {
    t.match(await sendLines(way, one, adds(from)), { status: 200 })
  }
  await sendLines(way, one, [remove('gone'), { txn: { appId: 'a', version: 3 } }])
  await sendLines(way, two, adds(0).slice(0, 200))
  await put(way, two, { actions: [add('only')] })
  const valid = await server.post(`${way}/validate`)
  t.match(valid, { status: 200, body: { valid: true, violations: [] } })
  const { status, body, text } = await server.post(`${way}/commit`)
  t.equal(status, 200, text)
  t.match(body.tables, [{ numAddedFiles: 3000, numRemovedFiles: 1 }, { numAddedFiles: 1 }])
  const log = await server.get(`/tables/${one}/commits/1`, { accept: ndjson['content-type'] })
  const lines = log.text.trim().split('\n')
  t.equal(lines.length, 3003)
  t.strictSame(lines[1], JSON.stringify(add('0', { tags: { long } })))
  t.strictSame(lines[3000], JSON.stringify(add('2999', { tags: { long } })))
  t.match(JSON.parse(lines[3002] ?? ''), { txn: { appId: 'a' } })
  t.strictSame(await pathsIn(two), ['only'])
})

t.test('several tables that are too large for memory, and have files already', async (t) => {
  const tables = await Promise.all([1, 2, 3].map(() => server.makeTable()))
  const adds = (from: number) => Array.from({ length: 150 }, (_, at) => add(`${from + at}`))
  for (const isStaged of [false, true, true]) {
    const parts = tables.map((table) => ({
      table,
      actions: [...adds(0), remove('7000'), remove('none')],
    }))
    const { status, text } = isStaged
      ? await server.post(`${await begin({ tables: parts })}/commit`)
      : await server.post('/transactions', { commit: true, tables: parts })
    t.ok(status < 300, text)
  }
  for (const table of tables) {
    const { version, statistics } = (await server.get(`/tables/${table}`)).body
    t.strictSame([version, statistics.numFiles], [3, 150])
  }
})

t.test('a request with a fault stages nothing, and names it', async (t) => {
  const table = await server.makeTable()
  const way = await begin()
  await put(way, table, { actions: [add('a')] })
  const many = Array.from({ length: 3000 }, (_, at) =>
    add(`${at}`, { tags: { t: 'x'.repeat(1000) } }),
  )
  const faulty = linesOf([...many, add('b', { path: 7 })])
  const post = (raw: string, type: string) =>
    server.call('POST', `${way}/tables/${table}/actions`, {
      raw,
      headers: { 'content-type': type },
    })
  t.match(await post(faulty, 'application/x-ndjson'), {
    status: 400,
    body: { code: 'invalid-request', errors: [{ line: 3001, pointer: '/actions/3000/add/path' }] },
  })
  t.match(
    await post('{"proposal":{}}\n{"txn":{"appId":"a","version":1}}', 'application/x-ndjson'),
    {
      status: 400,
      body: { errors: [{ line: 1, pointer: '/proposal' }] },
    },
  )
  t.match(await post('{"add"', 'application/x-ndjson'), {
    status: 400,
    body: { code: 'invalid-json' },
  })
  t.match(await post('[]', 'application/json'), { status: 400 })
  t.match(await post(JSON.stringify([add('b', { path: 7 })]), 'application/json'), {
    status: 400,
    body: { errors: [{ pointer: '/0/add/path' }] },
  })
  const deep = `${'['.repeat(150)}${']'.repeat(150)}`
  t.match(await post(`[{"txn":{"appId":"a","version":1}},{"other":${deep}}]`, 'application/json'), {
    status: 400,
    body: { errors: [{ pointer: '/1' }] },
  })
  const refused: [object, number, string][] = [
    [{ reads: { files: ['a'] }, actions: [] }, 400, 'invalid-request'],
    [{ fences: [{ token: 1 }], actions: [] }, 400, 'invalid-request'],
    [{ unknown: 1 }, 400, 'invalid-request'],
  ]
  for (const [body, ...code] of refused) t.strictSame(codeOf(await put(way, table, body)), code)
  t.strictSame(codeOf(await put(way, randomUUID(), { actions: [] })), [404, 'table-not-found'])
  const nowhere = `/transactions/${randomUUID()}`
  for (const path of [`${nowhere}/commit`, `${nowhere}/rollback`, `${nowhere}/validate`]) {
    t.strictSame(codeOf(await server.post(path)), [404, 'transaction-not-found'])
  }
  t.strictSame(codeOf(await put(nowhere, table, {})), [404, 'transaction-not-found'])
  t.match((await server.get(way)).body, { tables: [{ numActions: 1 }] })
  t.match(await server.post(`${way}/commit`), { status: 200 })
  t.strictSame(await pathsIn(table), ['a'])
})

t.test('a beginning that is refused leaves nothing', async (t) => {
  const table = await server.makeTable()
  const name = (await server.get(`/tables/${table}`)).body.name
  const before = (await server.get('/transactions?state=active')).body
  const refused: [object[], number, string][] = [
    [[{ table }, { table: name }], 400, 'invalid-request'],
    [[{ table }, { table: 'no.such' }], 404, 'table-not-found'],
    [[{ table }, { drop: table }], 400, 'invalid-request'],
    [[{ table }, { table, reads: {} }], 400, 'invalid-request'],
  ]
  for (const [tables, ...code] of refused) {
    const answer = await server.post('/transactions', { tables })
    t.strictSame(codeOf(answer), code)
    t.equal(answer.body.tableIndex, 1)
  }
  const late = { expiresInMs: Number.MAX_SAFE_INTEGER }
  t.match(await server.post('/transactions', { ...late, commit: true, tables: [{ table }] }), {
    status: 400,
  })
  t.match(await server.post('/transactions', late), {
    status: 400,
    body: { errors: [{ pointer: '/expiresInMs' }] },
  })
  t.strictSame((await server.get('/transactions?state=active')).body, before)
})

t.test('a refused commit leaves the transaction active, to be mended', async (t) => {
  const [one = '', two = ''] = await Promise.all([1, 2].map(() => server.makeTable()))
  const way = await begin({ tables: [{ table: one, actions: [add('a')] }] })
  await put(way, two, { expectedVersion: 1, actions: [add('b')] })
  await server.commit(two, { actions: [add('other')] })
  const refused = await server.post(`${way}/commit`)
  t.strictSame(codeOf(refused), [409, 'version-conflict'])
  t.match(refused.body, { table: two, tableIndex: 1, expected: 1, actual: 2 })
  t.match((await server.get(way)).body, { state: 'active', tables: [{}, {}] })
  t.strictSame(await pathsIn(one), [])
  await put(way, two, { expectedVersion: 2, actions: [add('b', { size: -1 })] })
  t.strictSame(codeOf(await server.post(`${way}/commit`)), [422, 'invalid-actions'])
  await put(way, two, { expectedVersion: 2, actions: [add('b')] })
  t.match(await server.post(`${way}/commit`), { status: 200, body: { state: 'committed' } })
})

t.test('what is over takes nothing more, and says what it is', async (t) => {
  const table = await server.makeTable()
  const ends: Record<string, (way: string) => Promise<unknown>> = {
    committed: (way) => server.post(`${way}/commit`),
    'rolled-back': (way) => server.post(`${way}/rollback`),
    expired: (way) => expire(way),
  }
  for (const [state, end] of Object.entries(ends)) {
    const way = await begin({ tables: [{ table, actions: [add(state)] }] })
    await end(way)
    t.match((await server.get(way)).body, { state })
    const refused = [
      put(way, table, { actions: [] }),
      sendLines(way, table, [add('b')]),
      server.call('DELETE', `${way}/tables/${table}`),
      server.post(`${way}/validate`),
      server.post(`${way}/rollback`),
      ...(state === 'committed' ? [] : [server.post(`${way}/commit`)]),
    ]
    for (const answer of await Promise.all(refused)) {
      t.strictSame(codeOf(answer), [409, 'transaction-not-active'])
      t.match(answer.body, { state, detail: /no commit is in progress/ })
    }
    await sweep()
    t.equal(await numRows(way), 0)
    const { body } = await server.get(way)
    t.equal(body.state, state)
    if (state !== 'committed') t.match(body.endedAt, /^\d/)
    const listed = (await server.get(`/transactions?state=${state}`)).body.items
    t.ok(listed.some(({ id }: { id: string }) => way.endsWith(id)))
  }
  t.strictSame(await pathsIn(table), ['committed'])
})

async function expire(way: string): Promise<void> {
  await sql`
    update transactions set expires_at = clock_timestamp()
    where id = ${way.split('/').at(-1)}::uuid`.execute(server.db)
}

t.test('each request is applied once under its key', async (t) => {
  const table = await server.makeTable()
  const key = () => ({ 'idempotency-key': randomUUID() })
  const twice = async (send: (headers: object) => Promise<TestAnswer>) => {
    const headers = key()
    const [first, second] = [await send(headers), await send(headers)]
    t.equal(second.text, first.text)
    t.equal(second.headers.get('idempotency-replayed'), 'true')
    return first
  }
  const begun = await twice((headers) =>
    server.post('/transactions', { label: 'once' }, { ...headers }),
  )
  const way = `/transactions/${begun.body.id}`
  await twice((headers) => put(way, table, { actions: [add('a')] }, headers))
  await twice((headers) => sendLines(way, table, [add('b')], headers))
  const last = await twice((headers) => sendLines(way, table, [add('c')], headers))
  t.equal(last.body.numActions, 3)
  const gone = await server.makeTable()
  await put(way, gone, { actions: [add('a')] })
  await twice((headers) =>
    server.call('DELETE', `${way}/tables/${gone}`, { headers: { ...headers } }),
  )
  const empty = await begin()
  const refused = await twice((headers) =>
    server.post(`${empty}/commit`, undefined, { ...headers }),
  )
  t.strictSame(codeOf(refused), [422, 'invalid-transaction'])
  await twice((headers) => server.post(`${empty}/rollback`, undefined, { ...headers }))
  const done = await twice((headers) => server.post(`${way}/commit`, undefined, { ...headers }))
  t.match(done, { status: 200, body: { tables: [{ numAddedFiles: 3 }] } })
})

t.test('what dead servers and clients that went away have left is removed', async (t) => {
  const table = await server.makeTable()
  const way = await begin({ tables: [{ table, actions: [add('a')] }] })
  const transactionId = way.split('/').at(-1)
  const long = JSON.stringify(add('b', { tags: { long: 'x'.repeat(100_000) } }))
  const body = new ReadableStream({
    async pull(controller) {
      if (await countUnfinished()) controller.error(new Error('gone'))
      else controller.enqueue(Buffer.from(`${long}\n`.repeat(10)))
    },
  })
  const sent = fetch(`${server.address}${way}/tables/${table}/actions`, {
    method: 'POST',
    headers: ndjson,
    body,
    duplex: 'half',
  })
  await t.rejects(sent)
  while ((await countUnfinished()) > 0);
  await sql`
    with chunk as (
      insert into transaction_chunks (id, transaction_id, table_id, num_actions)
      values (gen_random_uuid(), ${transactionId}::uuid, ${table}::uuid, 0) returning id
    )
    insert into transaction_lines select id, 0, '{}' from chunk`.execute(server.db)
  await sweep()
  t.equal(await countUnfinished(), 1, 'it may be under way')
  const old = stagedLeftovers(server.db, { requestMsMax: 0, databaseCopyMsMax: 0 })
  while ((await old.sweep()) > 0);
  t.equal(await countUnfinished(), 0)
  await sql`
    update transactions set state = 'rolling-back'
    where id = ${transactionId}::uuid`.execute(server.db)
  await sweep()
  t.match((await server.get(way)).body, { state: 'rolled-back', endedAt: /^\d/ })
  t.equal(await numRows(way), 0)
  const { rows } = await sql<{ count: number }>`
    select count(*) from transaction_lines l
    where not exists (select from transaction_chunks where id = l.chunk_id)`.execute(server.db)
  t.equal(rows[0]?.count, 0, 'no lines without their chunk')
})

async function countUnfinished(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) from transaction_chunks where first_index is null`.execute(server.db)
  return rows[0]?.count ?? 0
}
