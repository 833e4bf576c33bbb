import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { startTestServer } from '../../support/server.ts'
import {
  beginAt,
  get,
  list,
  put,
  remove,
  type TransactionClient,
} from '../../support/state-transactions.ts'

const server = await startTestServer(t, {}, { mirror: false })
const levels = ['ReadCommitted', 'RepeatableRead', 'Serializable'] as const

let names = 0
/** A namespace of its own, with entries. */
async function namespaceWith(...operations: object[]): Promise<string> {
  const namespace = `n${++names}`
  if (operations.length > 0) await write(namespace, ...operations)
  return namespace
}
async function write(namespace: string, ...operations: object[]): Promise<void> {
  const answer = await server.post(`/state/${namespace}/batch`, { operations })
  if (answer.status !== 200) throw new Error(answer.text)
}
const begin = (isolationLevel: string) => beginAt(server, { isolationLevel })
const value = async (tx: TransactionClient, namespace: string, key: string) =>
  (await tx.run(namespace, [get(key)])).body.results[0].value
const keys = async (tx: TransactionClient, namespace: string, of: object = {}) => {
  const { items } = (await tx.run(namespace, [list(of)])).body.results[0]
  return items.map(({ key }: { key: string }) => key)
}
const conflict = { status: 409, code: 'serialization-failure', retry: true }

t.test('each read sees what is committed then, or all see one moment', async (t) => {
  for (const level of levels) {
    const namespace = await namespaceWith(put('a', 1), put('b', 1))
    const other = await namespaceWith(put('c', 1))
    const tx = await begin(level)
    t.equal(await value(tx, namespace, 'a'), 1)
    await write(namespace, put('a', 2), remove('b'), put('x', 2))
    await write(other, put('c', 2))
    const isNewest = level === 'ReadCommitted'
    t.equal(await value(tx, namespace, 'a'), isNewest ? 2 : 1, `${level}: non-repeatable read`)
    t.equal(await value(tx, other, 'c'), isNewest ? 2 : 1, `${level}: read skew`)
    t.strictSame(await keys(tx, namespace), isNewest ? ['a', 'x'] : ['a', 'b'], `${level}: phantom`)
    t.equal((await tx.commit()).status, 200, 'who only reads has its place before')
  }
})

/** A transaction that has seen an entry "a" which is to expire, in time for that on a machine however slow. */
async function seeExpiring(namespace: string, level: string): Promise<TransactionClient> {
  for (let ttlMs = 100; ; ttlMs *= 2) {
    await write(namespace, put('a', 1, { ttlMs }), put('b', 1))
    const tx = await begin(level)
    if ((await value(tx, namespace, 'a')) === 1) return tx
    await tx.rollBack()
  }
}

const expired = async (namespace: string) => {
  while ((await server.get(`/state/${namespace}/entries/a`)).status === 200) await sleep(10)
}

t.test('an entry that expires is there for one moment or another, not for both', async (t) => {
  for (const level of levels) {
    const namespace = await namespaceWith()
    const tx = await seeExpiring(namespace, level)
    await expired(namespace)
    const isNewest = level === 'ReadCommitted'
    t.equal(await value(tx, namespace, 'a'), isNewest ? undefined : 1, level)
    t.strictSame(await keys(tx, namespace), isNewest ? ['b'] : ['a', 'b'], level)
    await tx.run(namespace, [put('c', 1)])
    const answer = await tx.commit()
    if (level === 'Serializable') t.match(answer.body, { ...conflict, key: 'a' })
    else t.equal(answer.status, 200, level)
  }
})

t.test('lost update: two write what both have read', async (t) => {
  for (const level of levels) {
    const namespace = await namespaceWith(put('a', 1))
    const [one, two] = [await begin(level), await begin(level)]
    for (const tx of [one, two]) {
      await tx.run(namespace, [put('a', (await value(tx, namespace, 'a')) + 1)])
    }
    t.equal((await one.commit()).status, 200)
    const second = await two.commit()
    if (level === 'ReadCommitted') t.equal(second.status, 200)
    else t.match(second.body, { ...conflict, namespace, key: 'a' }, level)
    t.match((await two.look()).body, {
      state: level === 'ReadCommitted' ? 'committed' : 'rolled-back',
    })
    t.equal((await server.get(`/state/${namespace}/entries/a`)).body.value, 2)
  }
})

t.test('at ReadCommitted a version that is expected is judged at the commit too', async (t) => {
  const namespace = await namespaceWith(put('a', 1))
  const tx = await begin('ReadCommitted')
  await tx.run(namespace, [put('a', 2, { expectedVersion: 1 })])
  await write(namespace, put('a', 7))
  t.match((await tx.commit()).body, {
    status: 412,
    code: 'version-mismatch',
    expected: 1,
    actual: 2,
  })
})

t.test('write skew: two write what the other has read', async (t) => {
  for (const level of levels) {
    const namespace = await namespaceWith(put('a', 1), put('b', 1))
    const [one, two] = [await begin(level), await begin(level)]
    for (const tx of [one, two]) await tx.run(namespace, [get('a'), get('b')])
    await one.run(namespace, [put('a', 0)])
    await two.run(namespace, [put('b', 0)])
    t.equal((await one.commit()).status, 200)
    const second = await two.commit()
    if (level === 'Serializable') t.match(second.body, { ...conflict, key: 'a' })
    else t.equal(second.status, 200, level)
  }
})

t.test('write skew over two namespaces, of keys that are not there', async (t) => {
  const [first, second] = [await namespaceWith(), await namespaceWith()]
  const [one, two] = [await begin('Serializable'), await begin('Serializable')]
  await one.run(first, [get('a')])
  await two.run(second, [get('a')])
  await one.run(second, [put('a', 1)])
  await two.run(first, [put('a', 1)])
  const answers = await Promise.all([one.commit(), two.commit()])
  t.strictSame(answers.map(({ status }) => status).toSorted(), [200, 409])
})

t.test('a phantom in a range that was read', async (t) => {
  const cases: { of: object; by: object; isIn: boolean }[] = [
    { of: { prefix: 'job.' }, by: put('job.3', 1), isIn: true },
    { of: { prefix: 'job.' }, by: put('other', 1), isIn: false },
    { of: { prefix: 'job.' }, by: remove('job.2'), isIn: true },
    { of: { prefix: 'job.' }, by: put('job.1', 2), isIn: true },
    { of: { start: 'job.1', end: 'job.2' }, by: put('job.2', 2), isIn: false },
    { of: { limit: 1 }, by: put('job.2', 2), isIn: false },
    { of: { limit: 1 }, by: put('a', 2), isIn: true },
    { of: { limit: 1 }, by: put('job.1', 2), isIn: true },
    { of: { limit: 1, after: 'job.1' }, by: put('job.11', 2), isIn: true },
    { of: { prefix: 'none' }, by: put('none', 2), isIn: true },
  ]
  for (const level of levels) {
    for (const { of, by, isIn } of level === 'Serializable' ? cases : cases.slice(0, 1)) {
      const namespace = await namespaceWith(put('job.1', 1), put('job.2', 1), put('x', 1))
      const tx = await begin(level)
      await tx.run(namespace, [list(of), put('count', 1)])
      await write(namespace, by)
      const answer = await tx.commit()
      const told = `${level} ${JSON.stringify([of, by])}`
      if (level === 'Serializable' && isIn) t.match(answer.body, conflict, told)
      else t.equal(answer.status, 200, told)
    }
  }
})

t.test('an entry of a range that has expired since is missed', async (t) => {
  const namespace = await namespaceWith(put('a', 1, { ttlMs: 3_600_000 }))
  const tx = await begin('Serializable')
  await tx.run(namespace, [list(), put('b', 1)])
  // As if an hour had passed.
  await sql`
    update state_entries set expires_at = clock_timestamp() - interval '1 ms' where key = 'a'
      and namespace_id = (select id from state_namespaces where namespace = ${namespace})`.execute(
    server.db,
  )
  t.match((await tx.commit()).body, { ...conflict, key: 'a' })
})

t.test('what a savepoint has undone is read, but not written', async (t) => {
  for (const level of ['RepeatableRead', 'Serializable']) {
    const namespace = await namespaceWith(put('a', 1))
    const tx = await begin(level)
    await server.post(`${tx.path}/savepoints`, { name: 's' })
    await tx.run(namespace, [put('a', 2)])
    await server.post(`${tx.path}/savepoints/s/rollback`)
    await tx.run(namespace, [put('b', 2)])
    await write(namespace, put('a', 3))
    const answer = await tx.commit()
    if (level === 'Serializable') t.match(answer.body, conflict)
    else t.equal(answer.status, 200)
    t.equal((await server.get(`/state/${namespace}/entries/a`)).body.value, 3)
  }
})

t.test('many ranges are taken for one that covers them', async (t) => {
  const namespace = await namespaceWith(put('a', 1))
  for (const [key, isIn] of [
    ['k050+', true],
    ['l', false],
  ] as const) {
    const tx = await begin('Serializable')
    for (let at = 0; at < 110; at += 10) {
      const lists = Array.from({ length: 10 }, (_, index) => {
        const start = `k${String(at + index).padStart(3, '0')}`
        return list({ start, end: `${start}!` })
      })
      await tx.run(namespace, lists)
    }
    await tx.run(namespace, [put('b', 1)])
    await write(namespace, put(key, 1))
    const answer = await tx.commit()
    if (isIn) t.match(answer.body, conflict)
    else t.equal(answer.status, 200, answer.text)
  }
})
