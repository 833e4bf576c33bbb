import { randomUUID } from 'node:crypto'
import t from 'tap'
import { add, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

const ask = (body: object) => server.post('/snapshots', body)
const versions = ({ body }: TestAnswer) =>
  body.tables.map(({ version }: { version: number }) => version)

/** Commits a file to each table in one transaction, and answers it. */
async function together(tables: readonly string[]) {
  const parts = tables.map((table) => ({ table, actions: [add(randomUUID())] }))
  const { status, body } = await server.post('/transactions', { commit: true, tables: parts })
  if (status !== 201) throw new Error(body.detail)
  return body
}

t.test('the versions of several tables: now, at a time, of a transaction', async (t) => {
  const [one, two, three] = [
    await server.makeTable(),
    await server.makeTable({ name: 'by.name' }),
    await server.makeTable(),
  ]
  await server.commit(three, { actions: [add('a')] })
  const first = await together([one, two])
  await server.commit(one, { actions: [add('b')] })
  const second = await together([two, three])
  const tables = [three, 'by.name', one.toUpperCase(), three]
  const now = await ask({ tables })
  t.equal(now.status, 200)
  t.strictSame(versions(now), [2, 2, 2, 2])
  t.match(now.body.tables[1], { tableId: two, inCommitTimestamp: Number })
  t.strictSame(versions(await ask({ tables, transactionId: first.id })), [1, 1, 1, 1])
  t.strictSame(versions(await ask({ tables, transactionId: second.id })), [2, 2, 2, 2])
  const [{ inCommitTimestamp: time }] = second.tables
  const at = (ms: number) => ask({ tables, timestamp: new Date(ms).toISOString() })
  t.strictSame(versions(await at(time)), [2, 2, 2, 2])
  t.strictSame(versions(await at(time - 1)).slice(0, 2), [1, 1])
  t.strictSame((await at(time + 86_400_000)).body, now.body)
})

t.test('a transaction that found all of its tables done has their versions', async (t) => {
  const [one, two] = [await server.makeTable(), await server.makeTable()]
  const idempotency = { appId: 'a', version: 1 }
  const send = () => {
    const tables = [one, two].map((table) => ({ table, idempotency, actions: [] }))
    return server.post('/transactions', { commit: true, tables })
  }
  await send()
  const again = await send()
  await together([one, two])
  const found = await ask({ tables: [one, two], transactionId: again.body.id })
  t.strictSame(versions(found), [1, 1])
})

t.test('what is not there is refused, and named', async (t) => {
  const table = await server.makeTable()
  const cases: [object, number, string, object][] = [
    [{ tables: [table, 'no.such'] }, 404, 'table-not-found', { table: 'no.such', tableIndex: 1 }],
    [
      { tables: [table], timestamp: '2001-01-01T00:00:00Z' },
      404,
      'version-not-found',
      { table, tableIndex: 0, currentVersion: 0 },
    ],
    [{ tables: [table], transactionId: randomUUID() }, 404, 'transaction-not-found', {}],
    [
      { tables: [table], transactionId: randomUUID(), timestamp: '2001-01-01T00:00:00Z' },
      400,
      'invalid-request',
      {},
    ],
    [{ tables: [table], timestamp: '2016-12-31T23:59:60Z' }, 400, 'invalid-request', {}],
    [{ tables: [] }, 400, 'invalid-request', {}],
    [{ tables: [table], version: 1 }, 400, 'invalid-request', {}],
  ]
  for (const [body, status, code, facts] of cases) {
    t.match(await ask(body), { status, body: { code, ...facts } }, JSON.stringify(body))
  }
})

t.test('a dropped table is found by its id', async (t) => {
  const table = await server.makeTable({ name: 'to.drop' })
  await server.call('DELETE', `/tables/${table}`)
  t.strictSame(versions(await ask({ tables: [table] })), [0])
  t.match(await ask({ tables: ['to.drop'] }), { status: 404 })
})

t.test('a view never holds half a transaction, however many are under way', async (t) => {
  const tables = await Promise.all(Array.from({ length: 4 }, () => server.makeTable()))
  let isOver = false
  const writers = Array.from({ length: 4 }, async () => {
    for (let count = 0; count < 15; count += 1) await together(tables)
  })
  const read = async () => {
    let reads = 0
    while (!isOver) {
      const seen = versions(await ask({ tables }))
      if (new Set(seen).size !== 1) return t.fail(`half a transaction: ${seen}`)
      const before = new Date(Date.now() - Math.random() * 200).toISOString()
      const past = await ask({ tables, timestamp: before })
      if (past.status === 200 && new Set(versions(past)).size !== 1) {
        return t.fail(`half a transaction at ${before}: ${versions(past)}`)
      }
      reads += 1
    }
    return t.ok(reads > 5, `${reads} reads`)
  }
  const readers = [read(), read()]
  await Promise.all(writers)
  isOver = true
  await Promise.all(readers)
  t.strictSame(versions(await ask({ tables })), [60, 60, 60, 60])
})
