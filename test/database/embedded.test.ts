import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, watch, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import t from 'tap'
import type { EmbeddedConnection } from '../../src/database/embedded.ts'
import { isAlive, isPostmaster } from '../../src/database/embedded-processes.ts'
import {
  gone,
  kill,
  makeScratch,
  makeUsedScratch,
  postmasterPid,
  query,
} from './embedded-scratch.ts'

const DIED = 'embedded PostgreSQL died and is started again'
const BACK = 'embedded PostgreSQL is back'

// Each test creates a database, which can take a second or two on a busy machine.
t.setTimeout(120_000)

t.test('an empty folder becomes a private PostgreSQL 18', async (t) => {
  const { root, folder, start } = await makeScratch(t)
  const { connection } = await start({ shared_buffers: '64MB' })
  const facts = await query(
    connection,
    `select current_setting('server_version_num')::int / 10000, current_setting('listen_addresses'),
       current_setting('max_connections'), current_setting('shared_buffers'),
       current_setting('data_checksums'), datlocprovider, datlocale, pg_encoding_to_char(encoding)
     from pg_database where datname = current_database()`,
  )
  t.same(facts, [18, '', '200', '64MB', 'on', 'b', 'C.UTF-8', 'UTF8'])
  t.same((await readdir(root)).sort(), ['postgres', 'postgres.log'])
  t.equal((await stat(folder)).mode & 0o777, 0o700)
  t.equal((await stat(connection.host)).mode & 0o777, 0o700)
  t.equal((await stat(`${folder}.log`)).mode & 0o777, 0o600)
})

t.test('stop leaves no process, and may be called again', async (t) => {
  const { folder, start } = await makeUsedScratch(t)
  const db = await start()
  const pids = [
    await postmasterPid(folder),
    ...(await query(db.connection, 'select pid from pg_stat_activity')),
  ].map(Number)
  t.ok(pids.length > 3, 'the server has processes of its own')
  await Promise.all([db.stop(), db.stop()])
  await db.stop()
  t.same(pids.filter(isAlive), [])
  t.notOk(existsSync(join(folder, 'postmaster.pid')))
})

t.test('what was committed is there after stop and start', async (t) => {
  const { start } = await makeUsedScratch(t)
  const first = await start()
  await query(first.connection, 'create table kept as select 42 as answer')
  await first.stop()
  const second = await start()
  t.same(await query(second.connection, 'select answer from kept'), [42])
})

t.test('two processes that race on an empty folder share one database', async (t) => {
  const { root, spawnServer, folder } = await makeScratch(t)
  const [one, two] = await Promise.all([spawnServer().ready, spawnServer().ready])
  const identify = 'select system_identifier from pg_control_system()'
  t.same(await query(one, identify), await query(two, identify))
  t.ok(isAlive(await postmasterPid(folder)))
  t.same((await readdir(root)).sort(), ['postgres', 'postgres.log'], 'the loser has cleaned up')
})

t.test('the database outlives a killed server, and the next server adopts it', async (t) => {
  const { folder, spawnServer, start } = await makeUsedScratch(t)
  const server = spawnServer()
  const before = await server.ready
  const pid = await postmasterPid(folder)
  await kill(server.child)
  t.same(await query(before, 'select 1'), [1])
  const db = await start()
  t.same(db.connection, before)
  t.equal(await postmasterPid(folder), pid)
  await db.stop()
  t.notOk(isAlive(pid), 'it is stopped like one of our own')
})

t.test('leave lets the database run on', async (t) => {
  const { folder, start } = await makeUsedScratch(t)
  const db = await start()
  await db.leave()
  t.same(await query(db.connection, 'select 1'), [1])
  t.ok(isAlive(await postmasterPid(folder)))
})

t.test('a killed database is started again with its data and address', async (t) => {
  const { folder, logged, start, spawnServer } = await makeUsedScratch(t)
  const starter = spawnServer()
  await starter.ready
  const { connection } = await start()
  await kill(starter.child)
  // Once an adopted server, then a child of this process.
  for (const round of [1, 2]) {
    await query(connection, `create table kept_${round} as select ${round} as answer`)
    const pid = await postmasterPid(folder)
    const back = once(logged, BACK)
    process.kill(pid, 'SIGKILL')
    await back
    t.same(await query(connection, `select answer from kept_${round}`), [round])
    t.not(await postmasterPid(folder), pid)
  }
  const log = await readFile(`${folder}.log`, 'utf8')
  t.notMatch(log, /system is (starting up|not yet)/, 'nobody knocks before the server is ready')
})

t.test('a start waits for the busy processes of a killed database', async (t) => {
  const { folder, start } = await makeUsedScratch(t)
  const killed = await start()
  await killed.leave()
  const orphan = await keepBusy(killed.connection)
  process.kill(await postmasterPid(folder), 'SIGKILL')
  t.ok(isAlive(orphan))
  const { connection } = await start()
  t.notOk(isAlive(orphan))
  t.same(await query(connection, 'select 1'), [1])
})

t.test('stop during a restart leaves nothing running and nobody supervising', async (t) => {
  const { folder, logged, start } = await makeUsedScratch(t)
  const deaths: object[] = []
  logged.on(DIED, (facts) => deaths.push(facts))
  const moments = {
    'when the death is noticed': () => once(logged, DIED),
    'when the new server starts': (old: number) => seeNewPid(folder, old),
  }
  for (const [name, moment] of Object.entries(moments)) {
    const db = await start()
    const old = await postmasterPid(folder)
    const reached = moment(old)
    process.kill(old, 'SIGKILL')
    await reached
    await db.stop()
    const pid = await postmasterPid(folder).catch(() => old)
    t.notOk(await isPostmaster(pid, folder), name)
  }
  await start()
  const back = once(logged, BACK)
  process.kill(await postmasterPid(folder), 'SIGKILL')
  await back
  t.equal(deaths.length, 3, 'each death is noticed by one supervisor')
})

t.test('a kill in the middle of initdb does no harm', async (t) => {
  const { root, folder, spawnServer, start } = await makeScratch(t)
  const server = spawnServer()
  server.ready.catch(() => undefined)
  const draft = await seeFile(root, 'postgres.init-')
  await seeFile(join(root, draft), 'PG_VERSION')
  await kill(server.child)
  t.notOk(existsSync(folder))
  const { connection } = await start()
  t.same(await query(connection, 'select 1'), [1])
  t.same((await readdir(root)).sort(), ['postgres', 'postgres.log'])
})

t.test('leftovers of a killed initdb go, and nothing else', async (t) => {
  const { root, start } = await makeScratch(t)
  const { pid: dead } = spawnSync('true')
  const entries = [`postgres.init-${dead}-a1`, `postgres.init-${process.pid}-a1`, 'postgres.init-x']
  await Promise.all(entries.map((entry) => mkdir(join(root, entry))))
  await start()
  t.same((await readdir(root)).sort(), [...entries.slice(1), 'postgres', 'postgres.log'].sort())
})

t.test('a stale pid file is no hindrance, even when the process id lives again', async (t) => {
  const { folder, killAtEnd, start } = await makeUsedScratch(t)
  const first = await start()
  await first.stop()
  const { uid, gid } = await stat(folder)
  const stranger = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid, gid } : {})
  killAtEnd(stranger)
  const { host, port } = first.connection
  const stale = [stranger.pid, folder, 1, port, host, '', '1 1', 'ready', ''].join('\n')
  await writeFile(join(folder, 'postmaster.pid'), stale)
  await writeFile(join(host, `.s.PGSQL.${port}.lock`), stale)
  const second = await start()
  t.same(await query(second.connection, 'select 1'), [1])
  t.not(await postmasterPid(folder), stranger.pid)
  t.ok(isAlive(Number(stranger.pid)), 'the stranger is left alone')
})

t.test('a folder with a long path has its socket elsewhere, as private', async (t) => {
  const { folder, start } = await makeScratch(t, `${'deep/'.repeat(24)}postgres`)
  t.ok(folder.length > 120)
  const db = await start()
  const { host } = db.connection
  t.notOk(host.startsWith(folder))
  t.equal((await stat(host)).mode & 0o777, 0o700)
  t.same(await query(db.connection, 'select 1'), [1])
})

t.test('a folder that holds something else is refused and left alone', async (t) => {
  const { root, start } = await makeScratch(t, '')
  await writeFile(join(root, 'letter.txt'), 'Dear reader')
  await t.rejects(start(), { message: /not empty/ })
  t.same(await readdir(root), ['letter.txt'])
})

t.test('a database that refuses to start says why', async (t) => {
  const { start } = await makeUsedScratch(t)
  await t.rejects(start({ shared_buffers: 'plenty' }), {
    message: /invalid value for parameter "shared_buffers": "plenty"/,
  })
})

t.test('a zombie is dead', { skip: process.platform !== 'linux' && 'Linux only' }, async (t) => {
  const { killAtEnd } = await makeScratch(t)
  // The shell becomes a program that does not collect its dead children before it has one.
  const parent = spawn('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'])
  killAtEnd(parent)
  const [chunk] = await once(parent.stdout, 'data')
  const zombie = Number(chunk)
  await gone(zombie)
  t.doesNotThrow(() => process.kill(zombie, 0), 'it still has its process id')
})

/** Has a session compute for about a second; resolves to its process id once it is at work. */
async function keepBusy(connection: EmbeddedConnection): Promise<number> {
  const client = new Client(connection)
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query('select pg_backend_pid() as pid')
  const isBusy = `select 1 from pg_stat_activity where pid = ${rows[0].pid} and state = 'active'`
  let isWorking = false
  // A machine that is busy itself may look only when the work is done already.
  do {
    if (!isWorking) {
      isWorking = true
      const work = client.query('do $$ begin for i in 1..30000000 loop end loop; end $$')
      work
        .catch(() => undefined)
        .finally(() => {
          isWorking = false
        })
    }
  } while ((await query(connection, isBusy)).length === 0)
  return rows[0].pid
}

/** Resolves when another server has begun to start. */
async function seeNewPid(folder: string, old: number): Promise<void> {
  while ([old, Number.NaN].includes(await postmasterPid(folder).catch(() => old))) await sleep(1)
}

/** Resolves to the name of the first file that appears, or is there, with this beginning. */
async function seeFile(folder: string, beginning: string): Promise<string> {
  const changes = watch(folder)
  const seen = (await readdir(folder)).find((name) => name.startsWith(beginning))
  if (seen) return seen
  for await (const { filename } of changes) if (filename?.startsWith(beginning)) return filename
  throw new Error(`${folder} is no longer watched`)
}
