import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Api, add } from '../support/api.ts'
import { openStream, type TestEvent } from '../support/event-stream.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, type ServerProcess, startServerProcess } from '../support/process.ts'

const stopped = { code: 0, signal: null }

async function startTwoServers(t: Test) {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const settings = {
    DATABASE_URL: database.url,
    DATA_DIR: await makeDataDir(t),
    WATCH_POLL_MS: '50',
    // So that a stop which waits for a stream shows.
    SHUTDOWN_MS_MAX: '600000',
  }
  const start = (port = '0') => startServerProcess(t, { ...settings, PORT: port })
  return { watched: await start(), written: await start(), start }
}

/** Commits until it is told to end; answers the newest version. */
function startWriter(server: Api, table: string) {
  let ended = false
  const newest = (async () => {
    let version = 0
    while (!ended) {
      const answer = await server.commit(table, { actions: [add(crypto.randomUUID())] })
      version = answer.body.version
    }
    return version
  })()
  return {
    end: () => {
      ended = true
      return newest
    },
  }
}

/** Follows a table as a browser does, and leaves at random moments too; answers all that it got up to a version. */
async function followTo(address: string, table: string, last: Promise<number>): Promise<number[]> {
  const versions: number[] = []
  let end = Number.POSITIVE_INFINITY
  void last.then((version) => {
    end = version
  })
  while ((versions.at(-1) ?? 0) < end) {
    const headers = { 'last-event-id': String(versions.at(-1) ?? 0) }
    const reader = await openStream(`${address}/tables/${table}/watch`, headers).catch(() => null)
    if (reader === null) {
      await sleep(20)
      continue
    }
    await Promise.race([reader.over, sleep(Math.random() * 300)])
    reader.close()
    versions.push(...reader.events.map(({ id }: TestEvent) => Number(id)))
  }
  return versions
}

t.test('no commit is missed or doubled, whatever happens to server and stream', async (t) => {
  const { watched, written, start } = await startTwoServers(t)
  const table = await written.makeTable()
  const writers = Array.from({ length: 4 }, () => startWriter(written, table))
  const { promise: last, resolve } = Promise.withResolvers<number>()
  const following = Array.from({ length: 8 }, () => followTo(watched.address, table, last))
  let server: ServerProcess = watched
  for (let kill = 0; kill < 2; kill += 1) {
    await sleep(Math.random() * 500)
    await server.kill()
    server = await start(new URL(watched.address).port)
  }
  const ends = await Promise.all(writers.map((writer) => writer.end()))
  const newest = Math.max(...ends)
  resolve(newest)
  const wanted = Array.from({ length: newest }, (_, index) => index + 1)
  for (const versions of await Promise.all(following)) t.strictSame(versions, wanted)
  t.comment(`${newest} commits`)
  for (const one of [server, written]) t.strictSame(await one.stop(), stopped)
})

t.test('a stop ends streams at once and in order, and cuts off who hangs', async (t) => {
  const { watched, written } = await startTwoServers(t)
  const table = await written.makeTable()
  const reader = await openStream(`${watched.address}/tables/${table}/watch`)
  const hanging = await openStream(`${watched.address}/tables/${table}/watch`)
  hanging.hang()
  const operationParameters = { note: 'x'.repeat(2 ** 20) }
  for (let index = 0; index < 30; index += 1) {
    await written.commit(table, { actions: [], operationParameters })
  }
  await reader.until(30)
  t.strictSame(await watched.stop(), stopped)
  t.equal(await reader.over, true)
  t.equal(reader.events.length, 30)
  hanging.close()
  t.strictSame(await written.stop(), stopped)
})
