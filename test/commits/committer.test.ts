import pg from 'pg'
import t, { type Test } from 'tap'
import { createCommitter } from '../../src/commits/committer.ts'
import { parseAction, toProposal } from '../../src/commits/proposal.ts'
import type { Unit } from '../../src/commits/unit.ts'
import { createDb } from '../../src/database/connect.ts'
import { claimKeys } from '../../src/idempotency/queries.ts'
import type { IdempotentRequest } from '../../src/idempotency/rules.ts'
import { add } from '../support/api.ts'
import { untilBlocked } from '../support/congestion.ts'
import { poolOf, type TestDatabase } from '../support/postgres.ts'
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
  const refusal = { code: 'overloaded', message: /commits to "/, headers: { 'retry-after': '1' } }
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

t.test('a batch that waited for its table takes in what has come meanwhile', async (t) => {
  const { committer, tables, batches, database } = await startCommitter(t, 1)
  const [table] = tables as [string]
  const [before, once, claimed] = ['before', 'once', 'claimed'].map((key) => ({
    key,
    requestHash: Buffer.from(key),
  })) as [IdempotentRequest, IdempotentRequest, IdempotentRequest]
  await committer.submit(unitOn(table, { idempotent: before, file: 'old' }))
  const giveUp = await claimKey(t, database, claimed.key)
  const holder = await changeTable(t, database, table)
  const first = committer.submit(unitOn(table, { idempotent: once }))
  await untilBlocked(holder)
  const later = [
    committer.submit(unitOn(table, { expectedVersion: 3 })),
    committer.submit(unitOn(table, { expectedVersion: 3 })),
    committer.submit(unitOn(table, { idempotent: once })),
    committer.submit(unitOn(table, { idempotent: before })),
    committer.submit(unitOn(table, { readVersion: 0, file: 'old' })),
  ]
  const refused = t.rejects(committer.submit(unitOn(table, { idempotent: claimed })), {
    code: 'idempotency-in-progress',
  })
  await holder.query('commit')
  const outcomes = await Promise.all([first, ...later])
  t.strictSame(
    outcomes.map(({ answer, replayed }) => [answer.status, replayed]),
    [
      [201, false],
      [201, false],
      [409, false],
      [201, true],
      [201, true],
      [201, false],
    ],
  )
  await refused
  t.strictSame(batches.slice(1), [{ changedTables: [table], units: 7 }])
  await giveUp()
  t.match(await committer.submit(unitOn(table, { idempotent: claimed, expectedVersion: 5 })), {
    answer: { status: 201 },
    replayed: false,
  })
})

t.test('a fault of one that was taken in fails no other', async (t) => {
  const { committer, tables, batches, database } = await startCommitter(t, 1)
  const [table] = tables as [string]
  const holder = await changeTable(t, database, table)
  const first = committer.submit(unitOn(table))
  await untilBlocked(holder)
  // PostgreSQL takes no such text; over HTTP it is refused before.
  const idempotent = { key: '\u0000', requestHash: Buffer.from('1') }
  const faulty = t.rejects(committer.submit(unitOn(table, { idempotent })), { code: '22021' })
  const last = committer.submit(unitOn(table))
  await holder.query('commit')
  for (const { answer } of await Promise.all([first, last])) t.equal(answer.status, 201)
  await faulty
  t.strictSame(
    batches.map(({ units }) => units),
    [1, 1],
  )
  await committer.idle()
  t.strictSame(committer.counts(), { waiting: 0, inFlight: 0 })
})

/** A committer over as many tables; `batches` has what was told of each batch. */
async function startCommitter(t: Test, count: number, { queueCommitsMax = 10_000 } = {}) {
  const server = await startTestServer(t, {}, { mirror: false })
  const tables = []
  for (let number = 0; number < count; number += 1) tables.push(await server.makeTable())
  const { database } = server
  const pool = poolOf(database.connection, { max: 10 })
  t.teardown(() => pool.end())
  const batches: { changedTables: readonly string[]; units: number }[] = []
  const committer = createCommitter({
    pool,
    queueCommitsMax,
    batchesMax: 4,
    batchActionsMax: 20_000,
    idempotencyRetentionMs: 1000,
    bulkMsMax: 10_000,
    onBatch: ({ changedTables, units }) => batches.push({ changedTables, units: units.length }),
  })
  return { committer, tables, batches, database }
}

/** A session with a transaction that has changed the row of a table. */
async function changeTable(t: Test, database: TestDatabase, table: string): Promise<pg.Client> {
  const session = new pg.Client(database.url)
  await session.connect()
  t.teardown(() => session.end())
  await session.query('begin')
  await session.query('update tables set version = version where id = $1', [table])
  return session
}

/** Claims an idempotency key in a transaction of its own until the answer is called. */
async function claimKey(
  t: Test,
  database: TestDatabase,
  key: string,
): Promise<() => Promise<void>> {
  const db = createDb(poolOf(database.connection))
  t.teardown(() => db.destroy())
  const tx = await db.startTransaction().execute()
  await claimKeys(tx, [key])
  return () => tx.rollback().execute()
}

interface UnitChoices {
  file?: string
  expectedVersion?: number
  readVersion?: number
  idempotent?: IdempotentRequest
}

let files = 0

function unitOn(table: string, choices: UnitChoices = {}): Unit {
  files += 1
  const { file = `file-${files}`, idempotent, ...fields } = choices
  const actions = [parseAction(JSON.stringify(add(file)))]
  const proposal = toProposal(fields, { members: new Map() }, { actions })
  return {
    parts: [{ table, proposal }],
    idempotent,
    answer: ({ kind }) => ({ status: kind === 'committed' ? 201 : 409, headers: {}, body: '' }),
  }
}
