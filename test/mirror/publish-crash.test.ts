import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTable } from '../../src/mirror/publish-table.ts'
import { add } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const script = fileURLToPath(new URL('publish-process.ts', import.meta.url))
const manyActions = 100_000
const ndjson = { accept: 'application/x-ndjson' }

t.test('a publisher that is killed halfway', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, config } = server
  const table = await server.makeTable()
  const log = join(server.dataDir, 'tables', table, '_delta_log')
  await commitMany(t, server, table)
  const publish = () =>
    publishTable(db, { tableId: table, mirrorRoots: config.mirrorRoots, sweep: true })

  await t.test('leaves no half file in sight of readers', async (t) => {
    const { child } = spawnPublisher(t, server, table)
    while (!(await names(log)).some((name) => name.includes(commitFileName(1)))) await sleep(1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const visible = (await names(log)).filter((name) => !name.startsWith('.'))
    t.strictSame(visible, [commitFileName(0)])
    t.equal((await names(log)).length, 2, 'the half file is still there')
  })

  await t.test('is repeated by the next one in bounded memory, and swept up after', async (t) => {
    await freeLock(server)
    const { child, output } = spawnPublisher(t, server, table, ['--max-old-space-size=64'])
    const [code] = await once(child, 'exit')
    t.equal(code, 0, await output.stderr)
    t.strictSame(JSON.parse(await output.stdout), { kind: 'published', versions: 2, more: false })
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
    t.strictSame(await publish(), { kind: 'published', versions: 1, more: false })
    t.equal(await readFile(join(log, commitFileName(2)), 'utf8'), before)
    t.strictSame(await names(log), [0, 1, 2].map(commitFileName))
  })
})

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

function spawnPublisher(t: Test, server: TestServer, table: string, nodeOptions: string[] = []) {
  const args = [script, server.database.url, table, join(server.dataDir, 'tables')]
  const child = spawn(process.execPath, [...nodeOptions, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  return { child, output: { stdout: text(child.stdout), stderr: text(child.stderr) } }
}

/** Waits until PostgreSQL has noticed that the killed publisher is gone. */
async function freeLock({ db }: TestServer): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from mirrors for update skip locked`.execute(db)
    if (rows.length > 0) return
    await sleep(10)
  }
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}
