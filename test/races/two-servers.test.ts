import t from 'tap'
import { checkHistory } from '../faults/check-history.ts'
import { startLoad } from '../faults/load.ts'
import { readTableEnd } from '../faults/table-end.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, startServerProcess } from '../support/process.ts'

t.test('two servers that commit to the same tables break no promise', async (t) => {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const settings = { DATABASE_URL: database.url, DATA_DIR: await makeDataDir(t) }
  const servers = await Promise.all([1, 2].map(() => startServerProcess(t, settings)))
  const [one, two] = servers
  if (one === undefined || two === undefined) throw new Error('there are two servers')
  const tables = [await one.makeTable(), await two.makeTable()]
  const loads = servers.map((server) => startLoad(server, tables, 6))
  await Promise.all(loads.map((load) => load.progress(150)))
  await Promise.all(loads.map((load) => load.end()))
  for (const table of tables) await one.published(table)
  const ends = await Promise.all(tables.map((table) => readTableEnd(two, table)))
  const wishes = loads.flatMap((load) => load.wishes)
  t.strictSame(checkHistory(wishes, ends), [])
  t.strictSame(
    loads.flatMap((load) => load.surprises),
    [],
  )
  const refused = wishes.filter(({ answers }) => answers[0]?.status === 409)
  t.not(refused.length, 0, 'they did meet')
  for (const server of servers) t.strictSame(await server.stop(), { code: 0, signal: null })
})
