import { once } from 'node:events'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import {
  type Claim,
  claimEmbeddedPostgres,
  type DataDirInUse,
} from '../../src/database/embedded-claim.ts'
import { isAlive } from '../../src/database/embedded-processes.ts'
import { kill, makeUsedScratch, postmasterPid, query, type Scratch } from './embedded-scratch.ts'

const OURS_AGAIN = 'the claim on DATA_DIR is ours again'
const LOCK_KEYS = `${0x64656c74}, ${0x73657276}`
const CLAIMANT = `from pg_locks join pg_stat_activity using (pid)
  where locktype = 'advisory' and granted`

// Each test creates a database, which can take a second or two on a busy machine.
t.setTimeout(120_000)

t.test('a second server on the same folder is refused and told who has it', async (t) => {
  const { folder, spawnServer, ...scratch } = await makeUsedScratch(t)
  const server = spawnServer({ task: 'claim' })
  await server.ready
  const db = await scratch.start()
  await t.rejects(claim(t, scratch, db), {
    name: 'DataDirInUse',
    message:
      `DATA_DIR ./data is in use by the server with process id ${server.child.pid}. ` +
      'Stop that one, or give this one another DATA_DIR.',
  })
  await db.leave()
  t.ok(isAlive(await postmasterPid(folder)), 'the database of the other server runs on')
})

t.test('a killed server has no claim', async (t) => {
  const { spawnServer, ...scratch } = await makeUsedScratch(t)
  const server = spawnServer({ task: 'claim' })
  await server.ready
  await kill(server.child)
  const db = await scratch.start()
  await claim(t, scratch, db)
  t.same(await query(db.connection, `select application_name ${CLAIMANT}`), [
    `deltaworks-server pid=${process.pid}`,
  ])
})

t.test('a claim waits for the session of a server that is gone to end', async (t) => {
  const { spawnServer, ...scratch } = await makeUsedScratch(t)
  const server = spawnServer()
  await server.ready
  await kill(server.child)
  const db = await scratch.start()
  const ghost = await rivalOf(t, db, server.child.pid)
  await ghost.query(`select pg_advisory_lock(${LOCK_KEYS})`)
  const claimed = claim(t, scratch, db)
  const isRefused = `select 1 from pg_stat_activity
    where application_name = 'deltaworks-server pid=${process.pid}' and state = 'idle'`
  while ((await query(db.connection, isRefused)).length === 0);
  await ghost.end()
  await t.resolves(claimed)
})

t.test('a released claim is free', async (t) => {
  const scratch = await makeUsedScratch(t)
  const db = await scratch.start()
  const first = await claim(t, scratch, db)
  await t.rejects(claim(t, scratch, db), { name: 'DataDirInUse' })
  await Promise.all([first.release(), first.release()])
  await t.resolves(claim(t, scratch, db))
})

t.test('a claim outlives a crash of the database', async (t) => {
  const scratch = await makeUsedScratch(t)
  const db = await scratch.start()
  await claim(t, scratch, db)
  const again = once(scratch.logged, OURS_AGAIN)
  process.kill(await postmasterPid(scratch.folder), 'SIGKILL')
  await again
  await t.rejects(claim(t, scratch, db), { name: 'DataDirInUse' })
})

t.test('a claim is released while the database is away', async (t) => {
  const scratch = await makeUsedScratch(t)
  const db = await scratch.start()
  const held = await claim(t, scratch, db)
  const lost = once(scratch.logged, 'the claim on DATA_DIR is lost')
  await db.stop()
  await lost
  await t.resolves(held.release())
})

t.test('a claim that another server took meanwhile is lost', async (t) => {
  const scratch = await makeUsedScratch(t)
  const db = await scratch.start()
  const { promise: lost, resolve: onLost } = Promise.withResolvers<DataDirInUse>()
  const held = await claim(t, scratch, db, onLost)
  const rival = await rivalOf(t, db, process.ppid)
  const taken = rival.query(`select pg_advisory_lock(${LOCK_KEYS})`)
  await query(db.connection, `select pg_terminate_backend(pid) ${CLAIMANT}`)
  await taken
  t.match((await lost).message, `process id ${process.ppid}.`)
  await t.resolves(held.release())
})

/** A session that looks like the one another server claims with. */
async function rivalOf(t: Test, { connection }: EmbeddedPostgres, pid?: number): Promise<Client> {
  const rival = new Client({ ...connection, application_name: `deltaworks-server pid=${pid}` })
  await rival.connect()
  t.teardown(() => rival.end())
  return rival
}

async function claim(
  t: Test,
  { log }: Pick<Scratch, 'log'>,
  { connection }: EmbeddedPostgres,
  onLost: (error: DataDirInUse) => void = (error) => t.fail(error.message),
): Promise<Claim> {
  const held = await claimEmbeddedPostgres({ connection, dataDir: './data', log, onLost })
  t.teardown(() => held.release())
  return held
}
