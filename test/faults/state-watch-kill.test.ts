import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { createCommitter } from '../../src/commits/committer.ts'
import { createDb } from '../../src/database/connect.ts'
import { openStream } from '../support/event-stream.ts'
import { createTestDatabase, poolOf, type TestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const namespace = 'followed'
const keys = ['a/1', 'a/2', 'b/1', 'b/2', 'c']

/** Writes as another process does, until it is told to end. */
function startWriting(t: Test, { connection }: TestDatabase) {
  const pool = poolOf(connection)
  const db = createDb(pool)
  t.teardown(() => db.destroy())
  const committer = createCommitter({
    pool,
    batchesMax: 2,
    queueCommitsMax: 100,
    batchActionsMax: 1000,
    idempotencyRetentionMs: 60_000,
    bulkMsMax: 60_000,
    onBatch: () => {},
  })
  const { write } = createStateWriter({ db, committer })
  let ended = false
  const writer = async (number: number) => {
    for (let round = 0; !ended; round += 1) {
      const some = keys.filter((_, index) => (round + number) % (index + 2) !== 0)
      await write(
        namespace,
        some.map((key) => (round % 7 === 0 ? remove(key) : put(key, `${number}/${round}`))),
      )
    }
  }
  const writing = Promise.all([1, 2, 3].map(writer))
  return {
    /** Ends it, and answers all that was written. */
    async end() {
      ended = true
      await writing
      const { rows } = await sql<{ revision: number; position: number; key: string }>`
        select revision, position, key from state_history order by revision, position`.execute(db)
      return rows
    },
  }
}

/** Follows as a browser does, and leaves at random moments too; answers all that it got up to a revision. */
async function followTo(address: string, prefix: string, last: Promise<number>) {
  const got: { id: string; revision: number; position: number; key: string }[] = []
  let lastEventId = '0'
  let end = Number.POSITIVE_INFINITY
  void last.then((revision) => {
    end = revision
  })
  while (Number(lastEventId) < end || lastEventId.includes('.')) {
    const url = `${address}/state/${namespace}/watch?prefix=${prefix}`
    const reader = await openStream(url, { 'last-event-id': lastEventId }).catch(() => null)
    if (reader === null) {
      await sleep(20)
      continue
    }
    await Promise.race([reader.over, sleep(Math.random() * 300)])
    reader.close()
    for (const { event, id = '', data } of reader.events) {
      if (event !== 'bookmark') got.push({ id, ...data })
    }
    lastEventId = reader.events.at(-1)?.id ?? lastEventId
  }
  return got
}

t.test('no write is missed, doubled or torn from its revision, whatever happens', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const settings = {
    DATABASE_URL: database.url,
    DATA_DIR: await makeDataDir(t),
    WATCH_POLL_MS: '20',
    WATCH_BOOKMARK_MS: '50',
  }
  let server = await startServerProcess(t, { ...settings, PORT: '0' })
  const { address } = server
  const writing = startWriting(t, database)
  const { promise: last, resolve } = Promise.withResolvers<number>()
  const prefixes = ['', '', 'a/', 'b/', 'c', 'none']
  const following = prefixes.map((prefix) => followTo(address, prefix, last))
  for (let kill = 0; kill < 3; kill += 1) {
    await sleep(300 + Math.random() * 500)
    await server.kill()
    server = await startServerProcess(t, { ...settings, PORT: new URL(address).port })
  }
  const written = await writing.end()
  resolve(written.at(-1)?.revision ?? 0)
  for (const [index, got] of (await Promise.all(following)).entries()) {
    const wanted = written.filter(({ key }) => key.startsWith(prefixes[index] ?? ''))
    t.strictSame(
      got.map(({ id, revision, position, key }) => ({ id, revision, position, key })),
      wanted.map((one, at) => {
        const isLast = wanted[at + 1]?.revision !== one.revision
        return { id: isLast ? `${one.revision}` : `${one.revision}.${one.position}`, ...one }
      }),
    )
  }
  t.comment(`${written.length} writes at ${written.at(-1)?.revision} revisions`)
  t.strictSame(await server.stop(), { code: 0, signal: null })
})
