import { randomUUID } from 'node:crypto'
import t from 'tap'
import { startTestServer } from '../../support/server.ts'
import {
  beginAt,
  get,
  put,
  remove,
  type TransactionClient,
} from '../../support/state-transactions.ts'

const server = await startTestServer(t, { stateOperationsMax: 10 }, { mirror: false })

const set = (tx: TransactionClient, name: string, headers: Record<string, string> = {}) =>
  server.post(`${tx.path}/savepoints`, { name }, headers)
const backTo = (tx: TransactionClient, name: string) =>
  server.post(`${tx.path}/savepoints/${encodeURIComponent(name)}/rollback`)
const release = (tx: TransactionClient, name: string) =>
  server.post(`${tx.path}/savepoints/${encodeURIComponent(name)}/release`)
const values = async (tx: TransactionClient, namespace: string, ...keys: string[]) => {
  const { body } = await tx.run(namespace, keys.map(get))
  return body.results.map(({ value }: { value?: unknown }) => value)
}

t.test('what was written since a savepoint is undone', async (t) => {
  const tx = await beginAt(server, { isolationLevel: 'Serializable' })
  await tx.run('undone', [put('a', 1), put('b', 1)])
  const first = await set(tx, 'first / one')
  t.equal(first.status, 201)
  t.match(first.body, { state: 'active', savepoints: ['first / one'], numWrites: 2 })
  await tx.run('undone', [put('a', 2), remove('b'), put('c', 2)])
  await set(tx, 'second')
  await tx.run('undone', [put('a', 3), put('b', 3), remove('c')])
  t.strictSame(await values(tx, 'undone', 'a', 'b', 'c'), [3, 3, undefined])
  const back = await backTo(tx, 'second')
  t.match(back.body, { savepoints: ['first / one', 'second'] }, 'the savepoint stays')
  t.strictSame(await values(tx, 'undone', 'a', 'b', 'c'), [2, undefined, 2])
  await tx.run('undone', [put('a', 4)])
  await backTo(tx, 'first / one')
  t.strictSame(await values(tx, 'undone', 'a', 'b', 'c'), [1, 1, undefined])
  t.match((await backTo(tx, 'second')).body, { status: 404, code: 'savepoint-not-found' })
  t.match((await tx.look()).body, { savepoints: ['first / one'], numWrites: 2 })
  await tx.run('undone', [put('d', 5)])
  const committed = await tx.commit()
  t.match(committed.body.stateResults, [{ results: [{ key: 'a' }, { key: 'b' }, { key: 'd' }] }])
  t.match((await server.get('/state/undone/entries/a')).body, { value: 1, version: 1 })
})

t.test('a savepoint that is released can no longer be gone back to', async (t) => {
  const tx = await beginAt(server)
  await set(tx, 'outer')
  await tx.run('released', [put('a', 1)])
  await set(tx, 'inner')
  await tx.run('released', [put('a', 2)])
  t.match((await release(tx, 'inner')).body, { savepoints: ['outer'], numWrites: 3 })
  t.match((await release(tx, 'inner')).body, { status: 404, savepoint: 'inner' })
  t.strictSame(await values(tx, 'released', 'a'), [2], 'what was written stays')
  await backTo(tx, 'outer')
  t.strictSame(await values(tx, 'released', 'a'), [undefined])
  await tx.run('released', [put('a', 3)])
  t.match((await release(tx, 'outer')).body, { savepoints: [], numWrites: 1 })
  await tx.commit()
  t.match((await server.get('/state/released/entries/a')).body, { value: 3, version: 1 })
})

t.test('one of the same name hides the older until it is released', async (t) => {
  const tx = await beginAt(server)
  await set(tx, 's')
  await tx.run('hidden', [put('a', 1)])
  await set(tx, 's')
  await tx.run('hidden', [put('a', 2)])
  await backTo(tx, 's')
  t.strictSame(await values(tx, 'hidden', 'a'), [1])
  await release(tx, 's')
  await backTo(tx, 's')
  t.strictSame(await values(tx, 'hidden', 'a'), [undefined])
  await tx.rollBack()
})

t.test('what savepoints bring back counts, and their number is limited', async (t) => {
  const tx = await beginAt(server)
  await set(tx, 's')
  for (let at = 0; at < 9; at += 1) await tx.run('counted', [put('a', at)])
  const { body } = await tx.run('counted', [put('a', 9)])
  t.match(body, { status: 413, code: 'too-many-actions', maxActions: 10 })
  await backTo(tx, 's')
  t.equal((await tx.run('counted', [put('a', 9)])).status, 200)
  const key = { 'idempotency-key': randomUUID() }
  await set(tx, 'once', key)
  await set(tx, 'once', key)
  t.match((await tx.look()).body, { savepoints: ['s', 'once'] })
  for (let at = 2; at < 100; at += 1) await set(tx, `s${at}`)
  t.match((await set(tx, 'more')).body, { status: 413, maxActions: 100 })
  const noName = await set(tx, '')
  t.equal(noName.body.errors[0].pointer, '/name')
  await tx.rollBack()
})
