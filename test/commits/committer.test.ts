import t, { type Test } from 'tap'
import { createCommitter } from '../../src/commits/committer.ts'
import { parseAction, toProposal } from '../../src/commits/proposal.ts'
import type { Unit } from '../../src/commits/unit.ts'
import { add } from '../support/api.ts'
import { poolOf } from '../support/postgres.ts'
import { startTestServer } from '../support/server.ts'

t.test('work that has its tables alone', async (t) => {
  const { committer, tables, batches } = await startCommitter(t, 3)
  const [mine, also, other] = tables as [string, string, string]

  await t.test(
    'waits for what came before, keeps what comes later, and lets others go on',
    async (t) => {
      const events: string[] = []
      const note = (event: string) => () => events.push(event)
      const release = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const before = committer.submit(unitOn(mine)).then(note('before'))
      const work = committer.alone([mine, also, mine], async () => {
        note('begun')()
        begun.resolve()
        await release.promise
        note('ended')()
        return 'done'
      })
      const after = [mine, also].map((table) => committer.submit(unitOn(table)).then(note('after')))
      await begun.promise
      for (let round = 0; round < 5; round += 1) {
        await committer.submit(unitOn(other)).then(note('other'))
      }
      t.strictSame(committer.counts(), { waiting: 2, inFlight: 1 })
      release.resolve()
      t.equal(await work, 'done')
      await Promise.all([before, ...after])
      const others = Array.from({ length: 5 }, () => 'other')
      t.strictSame(events, ['before', 'begun', ...others, 'ended', 'after', 'after'])
      t.ok(batches.length >= 7)
    },
  )

  await t.test('gives them free when it fails', async (t) => {
    await t.rejects(
      committer.alone([mine], async () => {
        throw new Error('no')
      }),
      { message: 'no' },
    )
    t.match(await committer.submit(unitOn(mine)), { answer: { status: 201 } })
    await committer.idle()
    t.strictSame(committer.counts(), { waiting: 0, inFlight: 0 })
  })
})

t.test('one table fills no more than half of the queue', async (t) => {
  const { committer, tables } = await startCommitter(t, 2, { queueCommitsMax: 20 })
  const [full, other] = tables as [string, string]
  const release = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const work = committer.alone([full], () => {
    begun.resolve()
    return release.promise
  })
  await begun.promise
  const queued = Array.from({ length: 10 }, () => committer.submit(unitOn(full)))
  const refusal = { code: 'overloaded', message: /to the table/, headers: { 'retry-after': '1' } }
  await t.rejects(committer.submit(unitOn(full)), refusal)
  await t.rejects(
    committer.alone([other, full], async () => {}),
    refusal,
  )
  t.match(await committer.submit(unitOn(other)), { answer: { status: 201 } })
  release.resolve()
  await work
  for (const { answer } of await Promise.all(queued)) t.equal(answer.status, 201)
})

t.test('five thousand commits to one table delay one to another by a batch', async (t) => {
  const { committer, tables, batches } = await startCommitter(t, 2)
  const [full, other] = tables as [string, string]
  const many = Array.from({ length: 5000 }, () => committer.submit(unitOn(full)))
  await committer.submit(unitOn(other))
  t.ok(batches.length <= 2, `it was in batch ${batches.length}`)
  await Promise.all(many)
  t.ok(batches.length >= 5, `all came in ${batches.length} batches`)
})

/** A committer over as many tables; `batches` has what was told of each batch. */
async function startCommitter(t: Test, count: number, { queueCommitsMax = 10_000 } = {}) {
  const server = await startTestServer(t, {}, { mirror: false })
  const tables = []
  for (let number = 0; number < count; number += 1) tables.push(await server.makeTable())
  const pool = poolOf(server.database.connection, { max: 10 })
  t.teardown(() => pool.end())
  const batches: (readonly string[])[] = []
  const committer = createCommitter({
    pool,
    queueCommitsMax,
    batchesMax: 4,
    batchActionsMax: 20_000,
    idempotencyRetentionMs: 1000,
    bulkMsMax: 10_000,
    onBatch: ({ changedTables }) => batches.push(changedTables),
  })
  return { committer, tables, batches }
}

let files = 0

function unitOn(table: string): Unit {
  files += 1
  const actions = [parseAction(JSON.stringify(add(`file-${files}`)))]
  const proposal = toProposal({}, { members: new Map() }, { actions })
  return {
    parts: [{ table, proposal }],
    answer: ({ kind }) => ({ status: kind === 'committed' ? 201 : 409, headers: {}, body: '' }),
  }
}
