import { sql } from 'kysely'
import t from 'tap'
import { createDb, type Db } from '../../src/database/connect.ts'
import {
  findEntryAt,
  findNamespaceHistory,
  listEntriesAt,
  listKeyWrites,
} from '../../src/state/history-queries.ts'
import { makeNamespaces } from '../../src/state/queries.ts'
import { listNamespaceProgress, readWindow } from '../../src/state/watch-queries.ts'
import { endPosition } from '../../src/state/watch-rules.ts'
import { countBuffers } from '../support/explain.ts'
import { createTestDatabase, poolOf } from '../support/postgres.ts'

const revisions = 1000
const writesOfEach = 100
/** That of an import. */
const large = 100_000

t.test('to follow and to look back costs what is read, not what is kept', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const db = createDb(poolOf(database.connection))
  t.teardown(() => db.destroy())
  const namespaceId = await fill(db)
  const middle = { revision: revisions / 2, position: endPosition }
  const inside = { revision: revisions + 1, position: large / 2 }
  const limits = { writesMax: 2000, bytesMax: 256 * 1024 }
  const window = (place: object, prefix = '') => ({
    namespace: 'kept',
    place: { prefix, ...middle, ...place },
  })
  const past = { namespaceId, revision: revisions / 2 }
  const few = { limit: 100, bytesMax: 2 ** 20 }
  const range = { from: '', to: undefined, after: 'key-10' }
  const reads: [name: string, pagesMax: number, read: (db: Db) => Promise<unknown>][] = [
    ['progress', 20, (db) => listNamespaceProgress(db, ['kept', 'none'])],
    ['what is known', 20, (db) => findNamespaceHistory(db, 'kept')],
    ['a page', 200, (db) => readWindow(db, window({}), limits)],
    ['a page within a revision', 200, (db) => readWindow(db, window(inside), limits)],
    ['a page with few', 200, (db) => readWindow(db, window({ held: 0 }, 'key-7'), limits)],
    ['the newest', 20, (db) => readWindow(db, window({ revision: revisions + 1 }), limits)],
    ['a key', 120, (db) => listKeyWrites(db, { namespaceId, key: 'key-7', before: 500 }, few)],
    ['an entry at a revision', 30, (db) => findEntryAt(db, { ...past, key: 'key-7' })],
    ['entries at a revision', 1600, (db) => listEntriesAt(db, { ...past, ...range }, few)],
  ]
  for (const isAnalyzed of [false, true]) {
    if (isAnalyzed) await sql`analyze`.execute(db)
    for (const [name, pagesMax, read] of reads) {
      const pages = await countBuffers(db, read)
      t.ok(pages < pagesMax, `${name}: ${pages} pages${isAnalyzed ? ', analyzed' : ''}`)
    }
  }
})

/** Revisions that write the same keys again and again, and one large one; as many beside them in another namespace. */
async function fill(db: Db): Promise<number> {
  const made = await makeNamespaces(db, ['kept', 'other'])
  const idOf = (name: string) => made.find((one) => one.namespace === name)?.namespaceId ?? 0
  const [id, other] = [idOf('kept'), idOf('other')]
  await sql`
    insert into state_history (namespace_id, revision, position, key, version, kind, json,
      created_at, updated_at)
    select n.id, r, p, 'key-' || p, r, 'put', '{"offset":1}', now(), now()
    from unnest(array[${id}, ${other}]::integer[]) as n (id), generate_series(1, ${revisions}::integer) as r,
      generate_series(0, ${writesOfEach - 1}::integer) as p
    union all
    select ${id}::integer, ${revisions + 1}::bigint, p, 'import-' || p, 1, 'put', '1', now(), now()
    from generate_series(0, ${large - 1}::integer) as p`.execute(db)
  await sql`update state_namespaces set revision = ${revisions + 1} where id = ${id}`.execute(db)
  return id
}
