import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { createDb, type Db } from '../../src/database/connect.ts'
import { inTransaction } from '../../src/database/transaction.ts'
import { createMaintenance } from '../../src/maintenance/operations.ts'
import {
  findOperation,
  insertOperation,
  type OperationKind,
} from '../../src/maintenance/queries.ts'
import { poolOf } from '../support/postgres.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const silent = { warn() {} }

/** Notes an operation, as the request for it does. */
async function note(db: Db, kind: OperationKind, operationId: string) {
  await inTransaction(db, (tx) => insertOperation(tx, { operationId, kind }))
  return { operationId, kind }
}

const idOf = (digit: number) => `00000000-0000-4000-8000-00000000000${digit}`
const addressOf = (digit: number) => `/maintenance/operations/${idOf(digit)}`

/** Holds a lock on the SQL table until the test lets go, and tells how to wait until someone waits for it. */
async function hold(t: Test, { db }: TestServer, table: string) {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: locked, resolve: lock } = Promise.withResolvers<void>()
  const holding = inTransaction(db, async (tx) => {
    await sql`lock table ${sql.table(table)} in share mode`.execute(tx)
    lock()
    await released
  })
  await locked
  const letGo = async () => {
    release()
    await holding
  }
  t.teardown(letGo)
  const awaited = async () => {
    for (;;) {
      const { rows } = await sql`
        select from pg_locks join pg_database d on d.oid = database
        where not granted and datname = current_database()`.execute(db)
      if (rows.length > 0) return
      await sleep(5)
    }
  }
  return { letGo, awaited }
}

t.test('an operation whose server has died is told as failed, with the reason', async (t) => {
  const server = await startTestServer(t)
  await note(server.db, 'vacuum', idOf(1))
  const silence = (seconds: number) =>
    sql`update maintenance_operations
      set heartbeat_at = clock_timestamp() - ${seconds} * interval '1 s'`.execute(server.db)
  await silence(20)
  t.match((await server.get(addressOf(1))).body, { state: 'running' })
  await silence(31)
  const { body } = await server.get(addressOf(1))
  t.match(body, { state: 'failed', error: 'has not been heard of for 30 s', finishedAt: String })
  t.match(await findOperation(server.db, idOf(1)), { state: 'running' }, 'which nobody wrote down')
})

t.test('a server that lives says so of all it holds, however long a step takes', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const maintenance = createMaintenance({ db: server.db, retentionMs: 1000, log: silent })
  const { letGo, awaited } = await hold(t, server, 'actions')
  maintenance.run(await note(server.db, 'vacuum', idOf(1)))
  maintenance.run(await note(server.db, 'checkpoint', idOf(2)))
  await awaited()
  await sql`update maintenance_operations set heartbeat_at = heartbeat_at - interval '1 hour'`.execute(
    server.db,
  )
  for (const digit of [1, 2]) {
    while ((await server.get(addressOf(digit))).body.state === 'failed') await sleep(50)
    t.match((await server.get(addressOf(digit))).body, { state: 'running' })
  }
  await letGo()
  await untilEnded(server, 2)
  t.match((await server.get(addressOf(1))).body, { state: 'succeeded' })
  t.match((await server.get(addressOf(2))).body, { state: 'succeeded' })
})

t.test(
  'operations run one after the other, and stopping waits for the step under way',
  async (t) => {
    const server = await startTestServer(t, {}, { mirror: false })
    const maintenance = createMaintenance({ db: server.db, retentionMs: 1000, log: silent })
    const { letGo, awaited } = await hold(t, server, 'actions')
    maintenance.run(await note(server.db, 'vacuum', idOf(1)))
    maintenance.run(await note(server.db, 'checkpoint', idOf(2)))
    await awaited()
    t.match((await server.get(addressOf(1))).body, { state: 'running' })
    t.match((await server.get(addressOf(2))).body, { state: 'running', progress: { done: 0 } })
    let isStopped = false
    const stopping = maintenance.stop().then(() => {
      isStopped = true
    })
    await server.get('/version')
    t.equal(isStopped, false)
    await letGo()
    await stopping
    const { body } = await server.get(addressOf(1))
    t.match(body, { state: 'failed', error: 'The server was stopped', progress: { done: 1 } })
    t.ok(body.progress.total > 1)
    t.match((await server.get(addressOf(2))).body, { state: 'failed', progress: { done: 0 } })
  },
)

t.test('a checkpoint that the role may not make fails and says what to do', async (t) => {
  const server = await startTestServer(t)
  const role = `weak_${process.pid}`
  await sql`create role ${sql.id(role)} login`.execute(server.db)
  await sql`grant all on all tables in schema public to ${sql.id(role)}`.execute(server.db)
  t.teardown(async () => {
    await sql`drop owned by ${sql.id(role)}`.execute(server.db)
    await sql`drop role ${sql.id(role)}`.execute(server.db)
  })
  const weak = createDb(poolOf({ ...server.database.connection, user: role } as never))
  const maintenance = createMaintenance({ db: weak, retentionMs: 1000, log: silent })
  maintenance.run(await note(server.db, 'checkpoint', idOf(1)))
  await untilEnded(server, 1)
  await maintenance.stop()
  await weak.destroy()
  const { body } = await server.get(addressOf(1))
  t.match(body, { state: 'failed', progress: { done: 0, total: 1 } })
  t.match(body.error, /does not permit it to the role of this service: .*CHECKPOINT.*Grant/)
})

t.test('so many operations wait and no more', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { letGo, awaited } = await hold(t, server, 'actions')
  t.equal((await server.post('/maintenance/vacuum')).status, 202)
  await awaited()
  for (let taken = 1; taken < 16; taken += 1) {
    t.equal((await server.post('/maintenance/retention')).status, 202)
  }
  const refused = await server.post('/maintenance/retention')
  t.match(refused, { status: 429, body: { code: 'overloaded' } })
  t.match(refused.headers.get('retry-after'), /^\d+$/)
  await letGo()
  let status = 429
  while (status === 429) status = (await server.post('/maintenance/retention')).status
  t.equal(status, 202)
})

async function untilEnded(server: TestServer, digit: number): Promise<void> {
  while ((await server.get(addressOf(digit))).body.state === 'running') await sleep(5)
}
