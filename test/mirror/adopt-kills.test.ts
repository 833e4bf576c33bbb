import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { linesOf } from '../delta-log/foreign-log.ts'
import { readLog } from '../faults/table-end.ts'
import { add, plainSchema, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'
import { freeLock } from './free-lock.ts'

/** How often who adopts is killed; each step is met with 29. */
const kills = Number(process.env['ADOPT_KILLS'] ?? 3)

t.setTimeout(60_000 + kills * 20_000)

/** Where it is killed, in the order of its work, and which call of it. */
const steps: [step: string, count: number][] = [
  ['sql:savepoint', 1],
  ['readdir', 1],
  ['after readdir', 1],
  ['sql:create temporary', 1],
  ['open', 1],
  ['after open', 2],
  ['open', 3],
  ['sql:copy', 1],
  ['sql:analyze', 1],
  ['sql:for update', 1],
  ['after sql:for update', 1],
  ['sql:for update of m', 1],
  ['after sql:for update of m', 1],
  ['sql:update files', 1],
  ['after sql:update files', 1],
  ['sql:insert into files', 1],
  ['after sql:insert into files', 1],
  ['sql:update actions', 1],
  ['sql:insert into actions', 1],
  ['after sql:insert into actions', 2],
  ['sql:insert into commits', 1],
  ['after sql:insert into commits', 1],
  ['sql:update tables', 1],
  ['after sql:update tables', 1],
  ['sql:update mirrors', 1],
  ['after sql:update mirrors', 1],
  ['sql:insert into idempotency_keys', 1],
  ['after sql:insert into idempotency_keys', 1],
  // Behind the commit.
  ['sql:pg_current_wal_insert_lsn', 1],
]

/** What another writer has done behind version 1. */
const foreign = [
  [add('b'), { txn: { appId: 'x', version: 1 } }],
  [remove('a'), { txn: { appId: 'x', version: 2 } }],
  [add('c', { stats: '{"numRecords":4}' }), remove('b')],
]

t.test(`who adopts is killed ${kills} times`, async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const root = join(server.dataDir, 'tables')
  for (let kill = 0; kill < kills; kill += 1) {
    // Every seventh, so that a short run has some of all.
    const [step, count] = steps[(kill * 7) % steps.length] ?? ['', 0]
    await t.test(`${step} ${count}`, async (t) => {
      const table = await server.makeTable({ schema: plainSchema })
      await server.commit(table, { actions: [add('a')] })
      await publishTables(server.db, { tableIds: [table], storage: server.storage, sweep: true })
      const log = join(root, table, '_delta_log')
      for (const [index, lines] of foreign.entries()) {
        const file = linesOf(lines).map((line) => `${line}\n`)
        await writeFile(join(log, commitFileName(index + 2)), file.join(''))
      }
      const before = await readLog(log)
      const args = [server.database.url, table, root]
      t.match(await runAdopter(t, [...args, step, String(count)]), { signal: 'SIGKILL' })
      await freeLock(server)
      const isDone = step.includes('pg_current_wal')
      const { body: mirror } = await server.get(`/tables/${table}/mirror`)
      t.equal(mirror.publishedVersion, isDone ? 4 : 1, 'all of it is done, or nothing')
      t.match(await server.get(`/tables/${table}`), { body: { version: mirror.publishedVersion } })
      t.match(await runAdopter(t, args), {
        signal: null,
        stderr: '',
        answer: { status: 200, body: '4', replayed: isDone },
      })
      t.match(await server.get(`/tables/${table}`), {
        body: { version: 4, statistics: { numFiles: 1, numRecords: 4 } },
      })
      t.match(await server.get(`/tables/${table}/app-transactions/x`), {
        body: { version: 2, committedIn: 3 },
      })
      t.match(await server.post(`/tables/${table}/mirror/verify`), {
        body: { verified: true, versions: { from: 0, to: 4 }, differences: [] },
      })
      t.strictSame(await readLog(log), before, 'nothing in the folder has changed')
      t.match(await server.commit(table, { actions: [add('d')] }), { body: { version: 5 } })
    })
  }
})

const script = fileURLToPath(new URL('adopt-process.ts', import.meta.url))

async function runAdopter(t: Test, args: readonly string[]) {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const outputs = Promise.all([text(child.stdout), text(child.stderr)])
  const [, signal] = await once(child, 'exit')
  const [stdout, stderr] = await outputs
  return { signal, stderr, answer: stdout === '' ? undefined : JSON.parse(stdout) }
}
