import pg from 'pg'
import t, { type Test } from 'tap'
import { type Api, add } from '../support/api.ts'
import { untilBlocked } from '../support/congestion.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'
import { makeDataDir, type Settings, startServerProcess } from '../support/process.ts'

t.test('tables that another transaction holds hold up no others, at two servers', async (t) => {
  const { servers, database } = await startServers(t, [{}, {}])
  const [one] = servers
  if (one === undefined) throw new Error('there is a server')
  const tables = await makeTables(one, 60)
  // More than there are places for batches that wait.
  const heldTables = tables.slice(0, 10)
  const others = tables.slice(10)
  const holder = await holdTables(t, database, heldTables)
  const waiting = servers.flatMap((server) =>
    commitAll(server, [...heldTables, ...others], 'mixed'),
  )
  await untilBlocked(holder)
  for (const round of [1, 2, 3]) {
    const answers = servers.map((server) => commitAll(server, others, `round-${round}`))
    for (const { status } of await Promise.all(answers.flat())) t.equal(status, 201)
  }
  await holder.query('commit')
  for (const { status } of await Promise.all(waiting)) t.equal(status, 201)
  for (const table of heldTables) t.equal(await versionOf(one, table), servers.length)
  for (const table of others) t.equal(await versionOf(one, table), servers.length * 4)
  for (const server of servers) t.match(await server.stop(), { code: 0 })
})

t.test('a table that is held for too long is told, however many there are', async (t) => {
  const { servers, database } = await startServers(t, [{}, { DATABASE_WAIT_MS_MAX: '400' }])
  const [patient, server] = servers
  if (patient === undefined || server === undefined) throw new Error('there are two servers')
  const tables = await makeTables(patient, 30)
  const holder = await holdTables(t, database, tables)
  for (const { status, body, headers } of await Promise.all(commitAll(server, tables, 'held'))) {
    t.match({ status, body }, { status: 429, body: { code: 'overloaded', detail: /has held the/ } })
    t.equal(headers.get('retry-after'), '1')
  }
  await holder.query('rollback')
  for (const { status } of await Promise.all(commitAll(server, tables, 'free'))) {
    t.equal(status, 201)
  }
  for (const table of tables) t.equal(await versionOf(server, table), 1)
})

t.test('a table that is named in both ways is one table, held or not', async (t) => {
  const { servers, database } = await startServers(t, [{}, {}])
  const [one, two] = servers
  if (one === undefined || two === undefined) throw new Error('there are two servers')
  const ids = await makeTables(one, 3)
  const names = await Promise.all(
    ids.map(async (id) => (await one.get(`/tables/${id}`)).body.name as string),
  )
  const holder = await holdTables(t, database, ids.slice(0, 1))
  const answers = Array.from({ length: 20 }, (_, round) => [
    ...commitAll(one, [...ids, 'not-there'], `ids-${round}`),
    ...commitAll(two, [...names, ...ids], `both-${round}`),
  ])
  await untilBlocked(holder)
  await holder.query('rollback')
  const statuses = (await Promise.all(answers.flat())).map(({ status }) => status)
  t.equal(statuses.filter((status) => status === 404).length, 20, 'what is not there is no table')
  t.equal(statuses.filter((status) => status === 201).length, 20 * 9)
  for (const id of ids) t.equal(await versionOf(one, id), 60)
})

async function startServers(t: Test, settings: readonly Settings[]) {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const common = {
    DATABASE_URL: database.url,
    DATA_DIR: await makeDataDir(t),
    // So that what a test holds up on purpose is not given up on a slow machine.
    DATABASE_WAIT_MS_MAX: '60000',
  }
  const servers = []
  for (const own of settings) servers.push(await startServerProcess(t, { ...common, ...own }))
  return { servers, database }
}

function makeTables(api: Api, count: number): Promise<string[]> {
  return Promise.all(Array.from({ length: count }, () => api.makeTable()))
}

/** A session with a transaction that holds the rows of these tables. */
async function holdTables(t: Test, database: TestDatabase, tables: string[]): Promise<pg.Client> {
  const holder = new pg.Client(database.url)
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query('begin')
  await holder.query('select from tables where id = any($1::uuid[]) for update', [tables])
  return holder
}

function commitAll(api: Api, tables: readonly string[], file: string) {
  return tables.map((table) =>
    api.commit(table, { actions: [add(`${new URL(api.address).port}-${table}-${file}`)] }),
  )
}

async function versionOf(api: Api, table: string): Promise<number> {
  return (await api.get(`/tables/${table}`)).body.version
}
