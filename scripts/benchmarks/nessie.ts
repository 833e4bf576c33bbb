import type { Nessie } from '../interop/tools.ts'
import { type BareDatabase, tablesTogether } from './bare-database.ts'
import { runClients, type Wire } from './http-load.ts'
import { type NessieServer, startNessie } from './nessie-server.ts'

/** What is asked of Nessie. */
export interface NessieLoad {
  nessie: Nessie
  connections: number
  milliseconds: number
  /** How many groups of ten tables there are. */
  groups: number
}

/** Tables that are committed to together: their content ids by name. */
type Group = ReadonlyMap<string, string>

interface Comparison {
  title: string
  /** Whether others commit to the same tables: then a client reads them before it commits. */
  isShared: boolean
  groupOf: (connection: number, count: number) => Group | undefined
}

interface State {
  /** The newest commit that each client knows of. */
  hashes: string[]
  conflicts: number
}

const trees = '/api/v2/trees'
const warmUpMs = 10_000

/**
 * Commits to ten tables each, all on one branch of a Nessie server: all clients to the same ten, and each to tens of its
 * own. A commit takes from the reading of what it is based on to its success, with every further attempt after a conflict.
 */
export async function measureNessie(
  database: BareDatabase,
  load: NessieLoad,
): Promise<Record<string, number>> {
  await using server = await startNessie(load.nessie, database)
  const { groups, hash } = await makeTables(server, load.groups)
  const clients = load.connections
  const turns = Math.floor(groups.length / clients)
  const comparisons: Comparison[] = [
    { title: 'the same ten', isShared: true, groupOf: () => groups[0] },
    {
      title: 'ten of 1,000',
      isShared: false,
      groupOf: (connection, count) => groups[connection + clients * (count % turns)],
    },
  ]
  const results: Record<string, number> = {}
  for (const comparison of comparisons) {
    const state: State = { hashes: Array(clients).fill(hash), conflicts: 0 }
    const run = (milliseconds: number) =>
      runClients({
        address: server.address,
        connections: clients,
        milliseconds,
        once: (wire, connection, count) =>
          commit(wire, state, { ...comparison, connection, count }),
      })
    await run(warmUpMs)
    state.conflicts = 0
    const { perSecond, p50Ms, p99Ms } = await run(load.milliseconds)
    const title = `${comparison.title}, Nessie`
    results[`${title}, /s`] = perSecond
    results[`${title}, p50 ms`] = p50Ms
    results[`${title}, p99 ms`] = p99Ms
    results[`${title}, conflicts in ${load.milliseconds / 1000} s`] = state.conflicts
  }
  results['Nessie, resident memory, MB'] = await server.residentMb()
  return results
}

interface Turn extends Comparison {
  connection: number
  count: number
}

/** One commit, tried until it succeeds; the time in milliseconds. */
async function commit(wire: Wire, state: State, turn: Turn): Promise<number> {
  const { connection, count } = turn
  const group = turn.groupOf(connection, count)
  if (group === undefined) throw new Error('there are too few tables')
  const body = bodyOf(group, `${connection}-${count}`)
  let hash = state.hashes[connection]
  const began = performance.now()
  for (let isStale = turn.isShared; ; isStale = true) {
    if (isStale) hash = await readHash(wire, group)
    const answer = await wire.send({ path: `${trees}/main@${hash}/history/commit`, body })
    if (answer.status === 200) {
      const took = performance.now() - began
      state.hashes[connection] = JSON.parse(answer.body).targetBranch.hash
      return took
    }
    if (answer.status !== 409) throw new Error(answer.body)
    state.conflicts += 1
  }
}

/** Reads the tables as they are now, and answers the commit that they were read at. */
async function readHash(wire: Wire, group: Group): Promise<string> {
  const requestedKeys = [...group.keys()].map((name) => ({ elements: [name] }))
  const body = JSON.stringify({ requestedKeys })
  const answer = await wire.send({ path: `${trees}/main/contents`, body })
  if (answer.status !== 200) throw new Error(answer.body)
  return JSON.parse(answer.body).effectiveReference.hash
}

/** New metadata for each table of a group. A table without an id is made. */
function bodyOf(group: Iterable<readonly [name: string, id?: string]>, file: string): string {
  const operations = Array.from(group, ([name, id]) => ({
    type: 'PUT',
    key: { elements: [name] },
    content: {
      type: 'ICEBERG_TABLE',
      id,
      metadataLocation: `file:///lake/${name}/metadata/${file}.metadata.json`,
      snapshotId: 1,
      schemaId: 0,
      specId: 0,
      sortOrderId: 0,
    },
  }))
  return JSON.stringify({ commitMeta: { message: 'WRITE' }, operations })
}

async function makeTables(
  { address }: NessieServer,
  count: number,
): Promise<{ groups: Group[]; hash: string }> {
  const groups: Group[] = []
  let hash = (await call(`${address}${trees}/main`)).reference.hash
  for (let number = 0; number < count; number += 1) {
    const names = Array.from({ length: tablesTogether }, (_, index) => [
      `table_${number * tablesTogether + index}`,
    ])
    const body = bodyOf(names as [string][], 'made')
    const answer = await call(`${address}${trees}/main@${hash}/history/commit`, body)
    groups.push(new Map(answer.addedContents.map(nameAndId)))
    hash = answer.targetBranch.hash
  }
  return { groups, hash }
}

interface AddedContent {
  key: { elements: [string] }
  contentId: string
}

function nameAndId({ key, contentId }: AddedContent): [name: string, id: string] {
  return [key.elements[0], contentId]
}

async function call(url: string, body?: string) {
  const response = await fetch(url, {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return JSON.parse(text)
}
