import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Api } from '../support/api.ts'
import { isOfCommits } from '../support/log-names.ts'
import type { TableEnd } from './check-history.ts'

const ndjson = { accept: 'application/x-ndjson' }
const readersMax = 8

/** Reads all that there is of a table, over HTTP and from its folder. */
export async function readTableEnd(api: Api, id: string): Promise<TableEnd> {
  const { body: table } = await api.get(`/tables/${id}`)
  const versions = (await readItems<{ version: number }>(api, `/tables/${id}/commits`)).reverse()
  const files = await readItems<{ add: { path: string } }>(api, `/tables/${id}/files`)
  const { body: mirror } = await api.get(`/tables/${id}/mirror`)
  return {
    id,
    version: table.version,
    commits: await mapInParallel(versions, async ({ version }) => {
      const { text: lines } = await api.get(`/tables/${id}/commits/${version}`, ndjson)
      return { version, lines }
    }),
    files: files.map(({ add }) => add.path),
    log: await readLog(join(table.location, '_delta_log')),
    mirror,
  }
}

async function readItems<Item>(api: Api, path: string): Promise<Item[]> {
  const { text } = await api.get(path, ndjson)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

/** The files of a log's commits, by name, and what else has to do with them. */
export async function readLog(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter(isOfCommits).sort()
  const texts = await mapInParallel(names, (name) => readFile(join(folder, name), 'utf8'))
  return new Map(names.map((name, index) => [name, texts[index] ?? '']))
}

async function mapInParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const queue = items.entries()
  async function run(): Promise<void> {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: readersMax }, run))
  return results
}
