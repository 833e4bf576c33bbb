import { execFile } from 'node:child_process'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'
import { commitFileName } from '../../src/delta/log-files.ts'
import { type Client, connect, expectStatus } from '../demo/client.ts'
import { type AddFile, readDataFile, writeDataFile } from '../demo/data-files.ts'
import { startServerProcess } from '../support/server-process.ts'
import type { Tools } from './tools.ts'

/** What delta-rs finds after it has written, and why it would not write, if so. */
interface Written {
  refusal: string | null
  version: number
  ids: number[]
}

interface Mirror {
  state: string
  publishedVersion: number
  fork?: {
    version: number
    ours?: object
    theirs?: { lastVersion: number; commitInfo?: { engineInfo?: string } }
  }
}

const program = fileURLToPath(new URL('write_delta_rs.py', import.meta.url))
const columns = [{ name: 'id', type: 'long', nullable: true, metadata: {} }]
const table = '/tables/shared'

/** A table that this service and delta-rs both write to, and what is held against it. */
class SharedTable {
  readonly faults: string[] = []
  readonly location: string
  readonly log: string
  readonly client: Client
  readonly #tools: Tools

  constructor(client: Client, location: string, tools: Tools) {
    this.client = client
    this.location = location
    this.log = join(location, '_delta_log')
    this.#tools = tools
  }

  expect(what: string, found: unknown, wanted: unknown): void {
    if (isDeepStrictEqual(found, wanted)) return
    this.faults.push(`${what}: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`)
  }

  /** Has delta-rs append commits, one for each list of ids. */
  async deltaRs(...append: number[][]): Promise<Written> {
    const running = promisify(execFile)(this.#tools.python, [program])
    running.child.stdin?.end(JSON.stringify({ location: this.location, append }))
    return JSON.parse((await running).stdout)
  }

  /** Commits through the service. */
  async commit(adds: readonly AddFile[]): Promise<number> {
    const actions = adds.map((add) => ({ add }))
    const answer = await this.client.post<{ version: number }>(`${table}/commits`, { actions })
    return expectStatus(answer, 201).body.version
  }

  async write(ids: readonly number[]): Promise<AddFile> {
    const layout = { location: this.location, columns, partitionColumns: [] }
    const rows = ids.map((id) => ({ id: String(id) }))
    return (await writeDataFile(layout, rows)).add
  }

  mirror(): Promise<Mirror> {
    return this.client.get(`${table}/mirror`)
  }

  change(path: string) {
    return this.client.post<Mirror>(`${table}/mirror/${path}`, {})
  }

  async seeState(state: string): Promise<void> {
    for (let look = 0; look < 500; look += 1) {
      if ((await this.mirror()).state === state) return
      await sleep(20)
    }
    throw new Error(`the mirror never became ${state}: ${JSON.stringify(await this.mirror())}`)
  }

  /** The rows that the service says are in the table, at the newest version or another. */
  async ids(version?: number): Promise<number[]> {
    const query = version === undefined ? '' : `?version=${version}`
    const { items } = await this.client.get<{ items: { add: AddFile }[] }>(`${table}/files${query}`)
    const layout = { location: this.location, columns, partitionColumns: [] }
    const rows = await Promise.all(items.map(({ add }) => readDataFile(layout, add)))
    return rows
      .flat()
      .map(({ id }) => Number(id))
      .sort((a, b) => a - b)
  }
}

/**
 * Lets delta-rs append to a folder that the service mirrors: what it writes behind all of ours is found and taken in;
 * what it writes beside ours is found, refused, and nothing of either side is lost.
 */
export async function checkForeignWriter(
  folder: string,
  tools: Tools,
): Promise<{ covered: string; faults: string[] }> {
  const location = join(folder, 'tables', 'shared')
  await mkdir(join(folder, 'tables'), { recursive: true })
  const server = await startServerProcess(folder)
  try {
    const shared = new SharedTable(connect(server.address, 'operator'), location, tools)
    await shared.deltaRs([1, 2], [3])
    const { client } = shared
    const imported = await client.post('/tables/import', { name: 'shared', location })
    expectStatus(imported, 201)
    await adoptTheirs(shared)
    await keepBoth(shared)
    await keepOut(shared)
    const covered = 'fork found, adopted, refused where both wrote, nothing lost'
    return { covered, faults: shared.faults }
  } finally {
    await server.stop()
  }
}

/** delta-rs writes versions 2 and 3 behind ours. */
async function adoptTheirs(shared: SharedTable): Promise<void> {
  const theirs = await shared.deltaRs([4], [5, 6])
  shared.expect('delta-rs wrote', theirs, { refusal: null, version: 3, ids: [1, 2, 3, 4, 5, 6] })
  const found = expectStatus(await shared.change('retry'), 200).body
  shared.expect('the state after delta-rs wrote', found.state, 'forked')
  shared.expect('the fork', [found.fork?.version, found.fork?.theirs?.lastVersion], [2, 3])
  shared.expect('our side of the fork', found.fork?.ours, undefined)
  const engine = found.fork?.theirs?.commitInfo?.engineInfo
  shared.expect('the writer that is told', engine?.startsWith('delta-rs'), true)
  const adopted = expectStatus(await shared.change('retry?policy=adopt'), 200).body
  shared.expect('after adopting', [adopted.state, adopted.publishedVersion], ['current', 3])
  shared.expect('the rows after adopting', await shared.ids(), theirs.ids)
  shared.expect('the rows before', await shared.ids(2), [1, 2, 3, 4])
  const unchanged = await shared.deltaRs()
  shared.expect('what delta-rs reads after adopting', unchanged, theirs)
}

/** Both write version 4. */
async function keepBoth(shared: SharedTable): Promise<void> {
  expectStatus(await shared.change('pause'), 200)
  shared.expect('our version', await shared.commit([await shared.write([10])]), 4)
  const theirs = await shared.deltaRs([20])
  shared.expect('their version', [theirs.refusal, theirs.version], [null, 4])
  const file = join(shared.log, commitFileName(4))
  const text = await readFile(file, 'utf8')
  expectStatus(await shared.change('resume'), 200)
  await shared.seeState('forked')
  const { fork } = await shared.mirror()
  shared.expect(
    'both sides are told',
    [fork?.version, fork?.ours, fork?.theirs].includes(undefined),
    false,
  )
  shared.expect('adopting', (await shared.change('retry?policy=adopt')).status, 409)
  shared.expect('their file', await readFile(file, 'utf8'), text)
  shared.expect('what delta-rs reads', await shared.deltaRs(), theirs)
  shared.expect('our rows', await shared.ids(), [1, 2, 3, 4, 5, 6, 10])

  // What the refusal tells the operator to do.
  const aside = join(shared.location, '..', 'their-4.json')
  await rename(file, aside)
  expectStatus(await shared.change('retry'), 200)
  await shared.seeState('current')
  const adds: AddFile[] = text.split('\n').flatMap((line) => JSON.parse(line || '{}').add ?? [])
  shared.expect('their commit, entered anew', await shared.commit(adds), 5)
  await shared.seeState('current')
  shared.expect('their file, moved', await readFile(aside, 'utf8'), text)
  shared.expect('all rows', await shared.ids(), [1, 2, 3, 4, 5, 6, 10, 20])
}

/** From our first commit on the table has in-commit timestamps, which delta-rs reads over and does not write. */
async function keepOut(shared: SharedTable): Promise<void> {
  const { refusal, version, ids } = await shared.deltaRs([30])
  shared.expect('delta-rs refuses to write', refusal?.includes('InCommitTimestamp'), true)
  shared.expect('what delta-rs reads', { version, ids }, { version: 5, ids: await shared.ids() })
}
