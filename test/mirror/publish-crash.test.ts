import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { add } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { freeLock } from './free-lock.ts'

const script = fileURLToPath(new URL('publish-process.ts', import.meta.url))
const manyActions = 100_000
const ndjson = { accept: 'application/x-ndjson' }

t.test('a publisher that is killed halfway', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db } = server
  const table = await server.makeTable()
  const log = join(server.dataDir, 'tables', table, '_delta_log')
  await commitMany(t, server, table)
  const job = { tableIds: [table], storage: server.storage, sweep: true }
  const publish = async () => (await publishTables(db, job)).get(table)

  await t.test('leaves no half file in sight of readers', async (t) => {
    const { child } = spawnPublisher(t, server, table)
    while (!(await names(log)).some((name) => name.includes(commitFileName(1)))) await sleep(1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const visible = (await names(log)).filter((name) => !name.startsWith('.'))
    t.notOk(visible.includes(commitFileName(1)))
    t.equal((await names(log)).length, 2, 'the half file is still there')
  })

  await t.test('is repeated by the next one in bounded memory, and swept up after', async (t) => {
    await freeLock(server)
    let result = { versions: 0, more: true }
    // What a busy machine does not get done in the time of a round is left to the next one.
    for (let versions = 0; result.more; versions = result.versions) {
      const { child, output } = spawnPublisher(t, server, table, {
        nodeOptions: ['--max-old-space-size=64'],
      })
      const [code] = await once(child, 'exit')
      t.equal(code, 0, await output.stderr)
      const [round] = JSON.parse(await output.stdout)
      t.match(round, { kind: 'published' })
      result = { versions: versions + round.versions, more: round.more }
    }
    t.equal(result.versions, 2)
    t.strictSame(await names(log), [0, 1].map(commitFileName))
    const { text: lines } = await server.get(`/tables/${table}/commits/1`, ndjson)
    t.equal(lines.split('\n').length, manyActions + 2)
    t.ok(lines === (await readFile(join(log, commitFileName(1)), 'utf8')))
  })

  await t.test('after its last file, before the record, has its work found done', async (t) => {
    t.match(await server.commit(table, { actions: [add('one-more')] }), { status: 201 })
    const recording = await db.startTransaction().execute()
    await sql`lock table mirrors in share mode`.execute(recording)
    const { child } = spawnPublisher(t, server, table)
    while (!(await names(log)).includes(commitFileName(2))) await sleep(1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await recording.rollback().execute()
    await freeLock(server)
    const before = await readFile(join(log, commitFileName(2)), 'utf8')
    t.match(await server.get(`/tables/${table}/mirror`), { body: { publishedVersion: 1 } })
    t.match(await publish(), { kind: 'published', versions: 1, more: false })
    t.equal(await readFile(join(log, commitFileName(2)), 'utf8'), before)
    t.strictSame(await names(log), [0, 1, 2].map(commitFileName))
  })
})

/** The calls to the file system before which a publisher of 5 and 3 versions is killed. */
const steps: Record<string, number[]> = {
  open: [1, 2, 8, 9, 10],
  writeFile: [1, 5, 8],
  utimes: [1, 8],
  sync: [1, 4, 8, 9, 10],
  link: [1, 2, 5, 8],
  rm: [1, 8],
}

t.test('a publisher of two tables that is killed', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const job = { storage: server.storage, sweep: true }
  for (const [step, counts] of Object.entries(steps)) {
    for (const count of counts) {
      await t.test(`before ${step} ${count}`, async (t) => {
        const tables = [await tableWith(server, 4), await tableWith(server, 2)]
        const { child } = spawnPublisher(t, server, tables.join(','), { step: [step, count] })
        const [, signal] = await once(child, 'exit')
        t.equal(signal, 'SIGKILL')
        await freeLock(server)
        const before = await Promise.all(tables.map((table) => visibleFiles(t, server, table)))
        const results = await publishTables(server.db, { ...job, tableIds: tables })
        t.match([...results.values()], [{ versions: 5 }, { versions: 3 }], 'nothing was recorded')
        for (const [index, table] of tables.entries()) {
          const after = await visibleFiles(t, server, table)
          const kept = after.slice(0, before[index]?.length)
          t.strictSame(kept, before[index], 'what a reader has seen stays the very file')
          t.strictSame(
            await names(logOf(server, table)),
            after.map(({ name }) => name),
            'nothing else is left',
          )
        }
      })
    }
  }
})

async function tableWith(server: TestServer, commits: number): Promise<string> {
  const table = await server.makeTable()
  for (let index = 0; index < commits; index += 1) {
    await server.commit(table, { actions: [add(`file-${index}`)] })
  }
  return table
}

/** The files that a reader sees, which must be the first versions, each whole. */
async function visibleFiles(t: Test, server: TestServer, table: string) {
  const log = logOf(server, table)
  const visible = (await names(log)).filter((name) => !name.startsWith('.'))
  const files = []
  for (const [version, name] of visible.entries()) {
    t.equal(name, commitFileName(version))
    const { text: lines } = await server.get(`/tables/${table}/commits/${version}`, ndjson)
    t.equal(await readFile(join(log, name), 'utf8'), lines)
    files.push({ name, inode: (await stat(join(log, name))).ino })
  }
  return files
}

function logOf(server: TestServer, table: string): string {
  return join(server.dataDir, 'tables', table, '_delta_log')
}

async function commitMany(t: Test, server: TestServer, table: string): Promise<void> {
  const lines = Array.from({ length: manyActions }, (_, index) =>
    JSON.stringify(add(`part-${index}`, { tags: { filler: 'x'.repeat(400) } })),
  )
  const answer = await server.call('POST', `/tables/${table}/commits`, {
    raw: lines.join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  })
  t.equal(answer.status, 201, answer.text)
}

/** Starts a publisher of tables; `step` is the call to the file system before which it is killed. */
function spawnPublisher(
  t: Test,
  server: TestServer,
  tables: string,
  { nodeOptions = [], step = [] }: { nodeOptions?: string[]; step?: (string | number)[] } = {},
) {
  const root = join(server.dataDir, 'tables')
  const args = [script, server.database.url, tables, root, ...step.map(String)]
  const child = spawn(process.execPath, [...nodeOptions, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return { child, output: { stdout: text(child.stdout), stderr: text(child.stderr) } }
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}
