import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { readLog, readTableEnd } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

t.test('versions are published in order, each with the lines that the API gives', async (t) => {
  const { server, table, publish, log } = await unpublishedTable(t, 4)
  t.match(await server.get(`/tables/${table}/mirror`), {
    body: { state: 'behind', publishedVersion: -1, pending: 5 },
  })
  t.match(await publish(), { kind: 'published', versions: 5, more: false })
  const { commits } = await readTableEnd(server, table)
  t.equal(commits.length, 5)
  t.strictSame(
    [...(await readLog(log))],
    commits.map(({ version, lines }) => [commitFileName(version), lines]),
  )
  const { body } = await server.get(`/tables/${table}/mirror`)
  t.strictSame(body, { state: 'current', publishedVersion: 4, pending: 0, lagMs: 0 })
  t.strictSame(await publish(), { kind: 'idle' })
})

t.test('a table that is far behind is published in steps', async (t) => {
  const { publish, log } = await unpublishedTable(t, 700)
  t.match(await publish(), { kind: 'published', versions: 500, more: true })
  t.equal((await readdir(log)).length, 500)
  t.match(await publish(), { kind: 'published', versions: 201, more: false })
  t.equal((await readdir(log)).length, 701)
})

t.test('of publishers at once one publishes and the others pass by', async (t) => {
  const { publish } = await unpublishedTable(t, 20)
  const results = await Promise.all(Array.from({ length: 4 }, publish))
  t.strictSame(results.map(({ kind }) => kind).sort(), ['idle', 'idle', 'idle', 'published'])
})

t.test('a file with other content is a fork: nothing is overwritten or added', async (t) => {
  const { server, table, publish, log } = await unpublishedTable(t, 4)
  await mkdir(log, { recursive: true })
  await writeFile(join(log, commitFileName(2)), '{"commitInfo":{}}\n')
  t.match(await publish(), { kind: 'forked', error: /^Version 2 .* Nothing was overwritten/ })
  const files = await readLog(log)
  t.strictSame([...files.keys()], [0, 1, 2].map(commitFileName))
  t.equal(files.get(commitFileName(2)), '{"commitInfo":{}}\n')
  t.match(await server.get(`/tables/${table}/mirror`), {
    body: { state: 'forked', publishedVersion: 1, pending: 3, lastError: /^Version 2/ },
  })
  t.strictSame(await publish(), { kind: 'idle' }, 'it is not tried again')
})

t.test('a folder that cannot be written is told, and tried again when it is time', async (t) => {
  const { server, table, publish, log, makeDue } = await unpublishedTable(t, 1)
  await mkdir(join(log, '..'), { recursive: true })
  await writeFile(log, 'a file in the place of the folder')
  for (const attempt of [1, 2]) {
    t.match(await publish(), { kind: 'failed', error: /not a folder/ }, `attempt ${attempt}`)
    const { body } = await server.get(`/tables/${table}/mirror`)
    t.match(body, {
      state: 'retrying',
      publishedVersion: -1,
      pending: 2,
      lastError: /not a folder/,
    })
    await makeDue(t, body.nextRetryAt)
  }
  await rm(log)
  t.match(await publish(), { kind: 'published', versions: 2 })
  const { body } = await server.get(`/tables/${table}/mirror`)
  t.strictSame(body, { state: 'current', publishedVersion: 1, pending: 0, lagMs: 0 })
})

t.test('a failure halfway keeps what is published', async (t) => {
  const { server, table, publish, log, makeDue } = await unpublishedTable(t, 4)
  const obstacle = join(log, commitFileName(3))
  await mkdir(obstacle, { recursive: true })
  t.match(await publish(), { kind: 'failed', error: /EISDIR/ })
  const { body } = await server.get(`/tables/${table}/mirror`)
  t.match(body, { state: 'retrying', publishedVersion: 2, pending: 2, lastError: /EISDIR/ })
  await rm(obstacle, { recursive: true })
  await makeDue(t, body.nextRetryAt)
  t.match(await publish(), { kind: 'published', versions: 2, more: false })
  t.strictSame([...(await readLog(log)).keys()], [0, 1, 2, 3, 4].map(commitFileName))
})

t.test('a location that leads out of the allowed folders by now is not written', async (t) => {
  const { server, table, publish, log } = await unpublishedTable(t, 1)
  const elsewhere = t.testdir()
  await mkdir(join(log, '../..'), { recursive: true })
  await symlink(elsewhere, join(log, '..'))
  t.match(await publish(), { kind: 'failed', error: 'below none of the allowed folders' })
  t.strictSame(await readdir(elsewhere), [])
  t.match(await server.get(`/tables/${table}/mirror`), { body: { state: 'retrying' } })
})

t.test('when the database goes away before the record, the same files are met again', async (t) => {
  const { server, table, publish, log } = await unpublishedTable(t, 3)
  const onUpdate = 'trigger away before update on mirrors for each row execute function away()'
  await sql
    .raw(`create function away() returns trigger language plpgsql as
      'begin perform pg_terminate_backend(pg_backend_pid()); return new; end';
      create ${onUpdate}`)
    .execute(server.db)
  await t.rejects(publish())
  const files = await readLog(log)
  t.equal(files.size, 4)
  const { ino } = await stat(join(log, commitFileName(3)))
  t.match(await server.get(`/tables/${table}/mirror`), {
    body: { state: 'behind', publishedVersion: -1, pending: 4 },
  })
  await sql.raw('drop trigger away on mirrors').execute(server.db)
  t.match(await publish(), { kind: 'published', versions: 4, more: false })
  t.strictSame(await readLog(log), files)
  t.equal((await stat(join(log, commitFileName(3)))).ino, ino, 'the files were not replaced')
})

t.test("tables are published together, and what is wrong with one is no other's", async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, dataDir } = server
  const log = (table: string) => join(dataDir, 'tables', table, '_delta_log')
  const tables = []
  for (let number = 0; number < 5; number += 1) tables.push(await server.makeTable())
  const [first, second, failing, forked, large] = tables as [string, string, string, string, string]
  for (const table of tables) {
    for (const file of ['a', 'b', 'c']) await server.commit(table, { actions: [add(file)] })
  }
  const many = Array.from({ length: 2000 }, (_, index) => add(`file-${index}`))
  await server.commit(large, { actions: many })
  await mkdir(join(log(failing), commitFileName(2)), { recursive: true })
  await mkdir(log(forked), { recursive: true })
  await writeFile(join(log(forked), commitFileName(1)), 'foreign\n')
  const job = { storage: server.storage, sweep: true }
  const results = await publishTables(db, { ...job, tableIds: [...tables, randomUUID()] })
  t.match(
    [...results.values()],
    [
      { kind: 'published', versions: 4, more: false },
      { kind: 'published', versions: 4, more: false },
      { kind: 'failed', error: /EISDIR/ },
      { kind: 'forked', error: /^Version 1/ },
      { kind: 'published', versions: 4, more: true },
      { kind: 'idle' },
    ],
  )
  const published = async (table: string) =>
    (await server.get(`/tables/${table}/mirror`)).body.publishedVersion
  t.strictSame(await Promise.all(tables.map(published)), [3, 3, 1, 0, 3])
  await server.commit(first, { actions: [add('d')] })
  const again = await publishTables(db, { ...job, tableIds: [first, large] })
  t.match(
    [...again.values()],
    [
      { kind: 'published', versions: 1, more: false },
      { kind: 'published', versions: 1, more: false },
    ],
  )
  await server.commit(second, { actions: [add('d')] })
  const tooMany = Array.from({ length: 4500 }, (_, index) => add(`next-${index}`))
  await server.commit(large, { actions: tooMany })
  const third = await publishTables(db, { ...job, tableIds: [second, large] })
  t.match(third.get(second), { kind: 'published', versions: 1, more: false })
  t.match(third.get(large), { kind: 'published', versions: 0, more: true })
  const alone = await publishTables(db, { ...job, tableIds: [large] })
  t.match(alone.get(large), { kind: 'published', versions: 1, more: false })
  for (const table of [first, second, large]) {
    const { commits } = await readTableEnd(server, table)
    t.strictSame(
      [...(await readLog(log(table)))],
      commits.map(({ version, lines }) => [commitFileName(version), lines]),
    )
  }
})

/** A table with so many commits of which none is published, and the way to publish it. */
async function unpublishedTable(t: Test, commits: number) {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, dataDir } = server
  const table = await server.makeTable()
  const proposals = Array.from({ length: commits }, (_, index) =>
    server.commit(table, { actions: [add(`file-${index}`), add(`twin-${index}`)] }),
  )
  const refused = (await Promise.all(proposals)).filter(({ status }) => status !== 201)
  t.strictSame(refused, [])
  const job = { tableIds: [table], storage: server.storage, sweep: true }
  return {
    server,
    table,
    publish: async () => {
      const result = (await publishTables(db, job)).get(table)
      if (result === undefined) throw new Error('a table was published without a result')
      return result
    },
    log: join(dataDir, 'tables', table, '_delta_log'),
    /** Sees that the next attempt is to come, then has its time come. */
    async makeDue(t: Test, nextRetryAt: string) {
      t.ok(Date.parse(nextRetryAt) > Date.now() - 60_000, nextRetryAt)
      await sql`update mirrors set next_retry_at = clock_timestamp()`.execute(db)
    },
  }
}
