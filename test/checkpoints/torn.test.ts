import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { checkpointFileName, commitFileName } from '../../src/delta/log-files.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'
import { readCheckpoint } from './read-checkpoint.ts'

const server = await startTestServer(t)

/** A table with some versions behind version 0, all published. */
async function makeTable(versions: number) {
  const table = await server.makeTable()
  const log = join(server.dataDir, 'tables', table, '_delta_log')
  const commit = async (count: number) => {
    for (let number = 0; number < count; number += 1) {
      await server.commit(table, { actions: [add(`file-${Math.random()}`)] })
    }
    await server.published(table)
  }
  const checkpoint = () => server.post(`/tables/${table}/mirror/checkpoint`)
  await commit(versions)
  return { table, log, commit, checkpoint }
}

t.test('a checkpoint takes the place of one that was left half written', async (t) => {
  const { log, checkpoint } = await makeTable(1)
  const name = checkpointFileName(1)
  for (const torn of ['', 'PAR1', 'PAR1 and some pages, and then the writer died']) {
    await writeFile(join(log, name), torn)
    const { status, body } = await checkpoint()
    t.equal(status, 200)
    const rows = await readCheckpoint(log, name)
    t.match(rows.at(-1), { add: { path: /^file-/ } })
    t.equal(body.sizeInBytes, (await readFile(join(log, name))).length)
  }
})

t.test('nothing goes from a log whose old checkpoint is half written', async (t) => {
  const { table, log, commit, checkpoint } = await makeTable(2)
  await checkpoint()
  await truncate(join(log, checkpointFileName(2)), 100)
  await commit(2)
  await sql`
    update commits set in_commit_timestamp = in_commit_timestamp - ${40 * 86_400_000}
    where table_id = ${table}::uuid and version < 4`.execute(server.db)
  t.match(await checkpoint(), { status: 200, body: { version: 4 } })
  const names = await readdir(log)
  for (const version of [0, 1, 2, 3, 4]) t.ok(names.includes(commitFileName(version)), `${version}`)
})
