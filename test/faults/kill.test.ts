import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import {
  killPostmaster,
  makeUsedDataDir,
  postmasterPid,
  type ServerProcess,
  startServerProcess,
} from '../support/process.ts'
import { checkHistory } from './check-history.ts'
import { startLoad } from './load.ts'
import { readTableEnd } from './table-end.ts'

/** How often something is killed; the full test takes 50. */
const kills = Number(process.env['KILLS'] ?? 3)
const clients = 8
const victims = ['server', 'database', 'both'] as const

t.setTimeout(60_000 + kills * 20_000)

t.test(`no promise is broken by ${kills} kills of the server and the database`, async (t) => {
  const dataDir = await makeUsedDataDir(t)
  let server = await startServerProcess(t, { DATA_DIR: dataDir })
  const tables = await Promise.all([1, 2, 3].map(() => server.makeTable()))
  const load = startLoad(server, tables, clients)
  for (let kill = 0; kill < kills; kill += 1) {
    await load.progress(20)
    await sleep(Math.random() * 500)
    server = await killSome(t, { server, dataDir, victim: victims[kill % victims.length] })
  }
  await load.progress(20)
  await load.end()
  for (const table of tables) await server.published(table)
  const ends = []
  for (const table of tables) ends.push(await readTableEnd(server, table))
  t.strictSame(checkHistory(load.wishes, ends), [])
  t.strictSame(load.surprises, [])
  const lost = load.wishes.filter(({ open }) => open > 0).length
  t.ok(lost >= kills, `${lost} commits had an attempt without verdict`)
  t.strictSame(await server.stop(), { code: 0, signal: null })
  const commits = ends.reduce((sum, end) => sum + end.commits.length, 0)
  t.comment(`${commits} commits, ${lost} with an attempt that got no verdict`)
})

interface Scene {
  server: ServerProcess
  dataDir: string
  victim: (typeof victims)[number] | undefined
}

/** `kill -9`, and what an operator's supervisor does after it. Answers the server that runs then. */
async function killSome(t: Test, { server, dataDir, victim }: Scene): Promise<ServerProcess> {
  if (victim !== 'server') {
    while (postmasterPid(dataDir) === undefined) await sleep(5)
    await killPostmaster(dataDir, 'SIGKILL')
  }
  if (victim === 'database') return server
  await server.kill()
  // The same port, because the clients know no other. Now large commits, now small ones: whatever is staged.
  const held = victim === 'both' ? '1' : '5000'
  const { port } = new URL(server.address)
  return startServerProcess(t, { DATA_DIR: dataDir, PORT: port, HELD_ACTIONS_MAX: held })
}
