import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { checkHistory } from '../faults/check-history.ts'
import { startLoad } from '../faults/load.ts'
import { readLog, readTableEnd } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const script = fileURLToPath(new URL('publish-process.ts', import.meta.url))

t.test(
  'a table whose publisher hangs waits for it alone, and is taken over once it dies',
  async (t) => {
    const server = await startTestServer(t, {}, { mirror: false })
    const table = await server.makeTable()
    for (const file of ['a', 'b', 'c', 'd']) await server.commit(table, { actions: [add(file)] })
    const log = join(server.dataDir, 'tables', table, '_delta_log')
    const child = spawnHanging(t, server, table)
    while (!(await visible(log)).includes(commitFileName(1))) await sleep(5)
    const second = await startTestServer(t, {}, { beside: server })
    await server.commit(table, { actions: [add('e')] })
    const other = await second.makeTable()
    await second.published(other)
    t.strictSame(await visible(log), [0, 1].map(commitFileName), 'one publisher at a time')
    t.match(await second.get(`/tables/${table}/mirror`), {
      body: { state: 'behind', publishedVersion: -1, pending: 6 },
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await second.published(table)
    const { commits } = await readTableEnd(second, table)
    t.strictSame(
      [...(await readLog(log))],
      commits.map(({ version, lines }) => [commitFileName(version), lines]),
      'the log is whole, and nothing of the first publisher is left',
    )
  },
)

t.test('of three servers two are killed, and the third publishes all that they left', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const settings = { DATABASE_URL: database.url, DATA_DIR: await makeDataDir(t) }
  const servers = []
  for (let number = 0; number < 3; number += 1) servers.push(await startServerProcess(t, settings))
  const [survivor, ...victims] = servers
  if (survivor === undefined) throw new Error('there are three servers')
  const tables = await Promise.all([1, 2, 3, 4, 5, 6].map(() => survivor.makeTable()))
  // All commits go to one server, which alone would wake its mirror at once; the others find them by looking.
  const load = startLoad(survivor, tables, 8)
  for (const victim of victims) {
    await load.progress(100)
    await victim.kill()
  }
  await load.progress(100)
  await load.end()
  for (const table of tables) await survivor.published(table)
  t.strictSame(await survivor.stop(), { code: 0, signal: null })
  // Files that the dead had begun have names that no reader takes in; who publishes first after a start removes them.
  const next = await startServerProcess(t, settings)
  const more = startLoad(next, tables, 6)
  await more.progress(80)
  await more.end()
  for (const table of tables) await next.published(table)
  const ends = await Promise.all(tables.map((table) => readTableEnd(next, table)))
  t.strictSame(checkHistory([...load.wishes, ...more.wishes], ends), [])
  t.strictSame([...load.surprises, ...more.surprises], [])
  t.strictSame(await next.stop(), { code: 0, signal: null })
})

/** A publisher that has two files published and then does nothing more, with its lock in hand. */
function spawnHanging(t: Test, server: TestServer, table: string) {
  const root = join(server.dataDir, 'tables')
  const args = [script, server.database.url, table, root, 'link', '3', 'SIGSTOP']
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

async function visible(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => !name.startsWith('.')).sort()
}
