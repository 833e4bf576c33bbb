import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { expiredEntries } from '../../src/state/expiry.ts'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db } = server
const { write, committer } = createStateWriter(server)

/** Sweeps until nothing is left; answers how many were removed. */
async function sweepAll(): Promise<number> {
  const { sweep } = expiredEntries({ db, committer, pollMs: 1000 })
  let removed = 0
  for (let some = await sweep(); some > 0; some = await sweep()) removed += some
  return removed
}

async function historyOf(namespace: string) {
  const { rows } = await sql<{ revision: number; position: number; kind: string; key: string }>`
    select h.revision, h.position, h.kind, h.key from state_history h
    join state_namespaces n on n.id = h.namespace_id where n.namespace = ${namespace}
    order by 1, 2`.execute(db)
  return rows
}

const entriesOf = async (namespace: string) =>
  (await server.get(`/state/${namespace}`)).body.entries as number

t.test('what has expired leaves with an event, in batches, and nothing else does', async (t) => {
  const many = Array.from({ length: 1100 }, (_, index) => put(`e${index}`, 1, { ttlMs: 1 }))
  await write('many', [...many, put('later', 1, { ttlMs: 3_600_000 }), put('stays', 1)])
  await write('other', [put('o', 1, { ttlMs: 1 })])
  await sleep(3)
  t.equal(await entriesOf('many'), 1102, 'they are counted until then')
  t.equal(await sweepAll(), 1101)
  t.equal(await entriesOf('many'), 2)
  t.equal(await entriesOf('other'), 0)
  const expired = (await historyOf('many')).filter(({ kind }) => kind === 'expire')
  t.equal(expired.length, 1100)
  const perRevision = [...Map.groupBy(expired, ({ revision }) => revision).values()]
  for (const { length } of perRevision) t.ok(length <= 500)
  t.equal(new Set(expired.map(({ key }) => key)).size, 1100)
  t.equal(await sweepAll(), 0)
})

t.test('servers that sweep at once remove each entry once', async (t) => {
  const many = Array.from({ length: 700 }, (_, index) => put(`r${index}`, 1, { ttlMs: 1 }))
  await write('raced', many)
  await sleep(3)
  const other = await startTestServer(t, {}, { beside: server, mirror: false })
  const { sweep } = expiredEntries({ db, committer: other.committer, pollMs: 1000 })
  const removed = await Promise.all([sweepAll(), sweepAll(), sweep()])
  const rest = await sweepAll()
  t.equal(
    removed.reduce((sum, one) => sum + one, rest),
    700,
  )
  const expired = (await historyOf('raced')).filter(({ kind }) => kind === 'expire')
  t.equal(expired.length, 700)
})

t.test('an entry that was written anew stays', async (t) => {
  await write('anew', [put('a', 1, { ttlMs: 1 })])
  await sleep(3)
  await write('anew', [put('a', 2, { ttlMs: 3_600_000 })])
  t.equal(await sweepAll(), 0)
  t.strictSame(
    (await historyOf('anew')).map(({ kind }) => kind),
    ['put', 'put'],
  )
})

t.test('a namespace that cannot be written to does not keep the others', async (t) => {
  await write('stuck', [put('a', 1, { ttlMs: 1 })])
  await write('free', [put('a', 1, { ttlMs: 1 })])
  await sleep(3)
  const refusing = {
    submit: ((unit) =>
      unit.state?.[0]?.namespace === 'stuck'
        ? Promise.reject(new Error('held'))
        : committer.submit(unit)) as typeof committer.submit,
  }
  const { sweep } = expiredEntries({ db, committer: refusing, pollMs: 1000 })
  t.equal(await sweep(), 1)
  t.equal(await entriesOf('free'), 0)
  t.equal(await sweep(), 0)
  await t.rejects(sweep(), { message: 'held' }, 'it is told of after the pause')
  t.equal(await sweepAll(), 1)
})
