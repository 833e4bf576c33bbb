import { sql } from 'kysely'
import t from 'tap'
import { lockFollowed } from '../../src/checkpoints/checksum-queries.ts'
import { listDueCheckpoints } from '../../src/checkpoints/queries.ts'
import { writeChecksums } from '../../src/checkpoints/write-checksums.ts'
import type { Db, Tx } from '../../src/database/connect.ts'
import { inTransaction } from '../../src/database/transaction.ts'
import { countMirrors, findBacklog, settleTables } from '../../src/mirror/backlog-queries.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { updatePaused } from '../../src/mirror/queries.ts'
import { add } from '../support/api.ts'
import { countBuffers } from '../support/explain.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const all = { limit: 1000, except: [] }

t.test('to look for work costs as much as there is to do, not as there are tables', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db } = server
  const [waiting, paused] = [await server.makeTable(), await server.makeTable()]
  await inTransaction(db, (tx) => updatePaused(tx, paused, true))
  await addSettledTables(db, waiting, 2000)
  const looks: [string, (db: Db) => Promise<unknown>][] = [
    ['mirror', (explained) => findBacklog(explained, all)],
    ['settling', (explained) => settle(explained)],
    ['checksums', (explained) => follow(explained as Tx)],
    ['checkpoints', (explained) => listDueCheckpoints(explained, 100)],
  ]
  for (const isAnalyzed of [false, true]) {
    if (isAnalyzed) await sql`analyze`.execute(db)
    for (const [name, look] of looks) {
      const buffers = await countBuffers(db, look)
      t.ok(buffers < 100, `${name}: ${buffers} pages${isAnalyzed ? ', analyzed' : ''}`)
    }
  }
  t.match(await findBacklog(db, all), {
    states: { behind: 1, paused: 1 },
    pending: 2,
    due: [{ tableId: waiting, store: 'local' }],
  })
  t.equal(await countMirrors(db), 2002)
})

t.test('what has all in its log is settled, and found again with its next commit', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, storage } = server
  const table = await server.makeTable()
  const settled = (quietMs = 0) =>
    inTransaction(db, (tx) => settleTables(tx, { quietMs, limit: 10 }))
  const due = async () => (await findBacklog(db, all)).due.map(({ tableId }) => tableId)
  const publish = () => publishTables(db, { tableIds: [table], storage, sweep: true })
  t.equal(await settled(), 0, 'not before it is published')
  await publish()
  t.equal(await settled(), 0, 'not before its checksum is written')
  await writeChecksums(db, undefined, { storage, swept: new Set() })
  t.equal(await settled(60_000), 0, 'not at once')
  await db.transaction().execute(async (tx) => {
    await sql`select from tables for update`.execute(tx)
    t.equal(await settled(), 0, 'not while its head is held')
  })
  t.equal(await settled(), 1)
  t.equal(await settled(), 0)
  t.strictSame(await due(), [])
  t.match(await server.commit(table, { actions: [add('a')] }), { status: 201 })
  t.strictSame(await due(), [table])
  await publish()
  t.strictSame(await due(), [])
  const { versions } = await writeChecksums(db, undefined, { storage, swept: new Set() })
  t.equal(versions, 1)
})

t.test('the metrics count the tables that are settled', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  await addSettledTables(server.db, table, 20)
  for (;;) {
    const current = await currentTables(server)
    if (current === 21) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  t.pass()
})

const settle = (db: Db) => settleTables(db as Tx, { quietMs: 0, limit: 10 })

const follow = (tx: Tx) => lockFollowed(tx, undefined, { tablesMax: 100, versionsMax: 500 })

async function currentTables(server: TestServer): Promise<number> {
  const { text } = await server.get('/metrics')
  return Number(/^deltaworks_mirror_tables\{state="current"\} (\d+)$/m.exec(text)?.[1])
}

/** Makes tables of one version each, of which all is done, in the likeness of a table. */
async function addSettledTables(db: Db, likeness: string, count: number): Promise<void> {
  await sql`
    with made as (
      insert into tables (id, name, location, version, in_commit_timestamp, protocol, metadata,
        num_files, size_in_bytes, num_records, num_files_without_records, is_unsettled)
      select gen_random_uuid(), name || '_' || n, location || '-' || n, version,
        in_commit_timestamp, protocol, metadata, 0, 0, 0, 0, false
      from tables, generate_series(1, ${count}) n where id = ${likeness}::uuid
      returning id
    ), mirrored as (
      insert into mirrors (table_id, published_version) select id, 0 from made
    )
    insert into checkpoints (table_id, checksum_version) select id, 0 from made`.execute(db)
}
