import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import { writeChecksums } from '../../src/checkpoints/write-checksums.ts'
import type { Db } from '../../src/database/connect.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import type { Folder, PendingFile, Storage } from '../../src/storage/storage.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

t.test(
  'PostgreSQL hears of who publishes to a slow store, and does not end the transaction',
  async (t) => {
    const server = await startTestServer(t, {}, { mirror: false })
    const table = await server.makeTable()
    const beats = new Set<string>()
    const storage = slowed(server.storage, async () => {
      while (beats.size < 3) {
        for (const one of await statesChanged(server.db)) beats.add(one)
        await sleep(50)
      }
    })
    const results = await publishTables(server.db, { tableIds: [table], storage, sweep: false })
    t.match(results.get(table), { kind: 'published', versions: 1 })
  },
)

t.test('checksums of a slow store are recorded from time to time', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, storage } = server
  const table = await server.makeTable()
  for (let commit = 0; commit < 70; commit += 1) {
    await server.commit(table, { actions: [add(`file-${commit}`)] })
  }
  await publishTables(db, { tableIds: [table], storage, sweep: false })
  const swept = new Set<string>()
  const counts: number[] = []
  for (let round = 0; round < 4; round += 1) {
    const { versions } = await writeChecksums(db, [table], { storage, swept, msMax: 0 })
    counts.push(versions)
  }
  t.strictSame(counts, [32, 32, 7, 0])
  const { rows } = await sql`
    select checksum_version, due_version from checkpoints where table_id = ${table}`.execute(db)
  t.strictSame(rows, [{ checksum_version: 70, due_version: 70 }])
  const names: string[] = []
  const folder = await storage.open(`${server.dataDir}/tables/${table}/_delta_log`)
  for await (const { name } of folder.list()) if (name.endsWith('.crc')) names.push(name)
  t.equal(names.length, 71)
})

/** When the connections in a transaction, but for that which asks, began to do nothing. */
async function statesChanged(db: Db): Promise<string[]> {
  const { rows } = await sql<{ at: string }>`
    select pid || ' ' || state_change as at from pg_stat_activity
    where datname = current_database() and state = 'idle in transaction'`.execute(db)
  return rows.map(({ at }) => at)
}

/** A store in which a file appears only once `wait` is over. */
function slowed(storage: Storage, wait: () => Promise<void>): Storage {
  return {
    resolve: storage.resolve,
    async open(location) {
      const folder: Folder = await storage.open(location)
      const begin = async (...asked: Parameters<Folder['begin']>): Promise<PendingFile> => {
        const file = await folder.begin(...asked)
        return {
          ...file,
          async putIfAbsent() {
            await wait()
            return file.putIfAbsent()
          },
        }
      }
      return new Proxy(folder, {
        get: (_, name) => {
          if (name === 'begin') return begin
          const value = folder[name as keyof Folder]
          return typeof value === 'function' ? value.bind(folder) : value
        },
      })
    },
  }
}
