import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect } from '../demo/client.ts'
import { type AddFile, readDataFile } from '../demo/data-files.ts'
import type { Expected } from '../demo/ledger.ts'
import type { Column } from '../demo/parquet.ts'
import type { ReadRequest, TableRead, VersionRead } from './table-read.ts'
import type { Tools } from './tools.ts'

/** Reads a table in its own way, knowing nothing of what to find. */
export type Reader = (asked: ReadRequest) => Promise<TableRead>

const outputBytesMax = 256 * 1024 * 1024
const program = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** delta-rs, the engine of `deltalake` for Python. */
export function deltaRs({ python }: Tools): Reader {
  return (asked) => ask(python, [program('read_delta_rs.py')], asked)
}

/**
 * ClickHouse: Parquet, types and SQL of its own, over delta-kernel-rs. delta-rs follows a fork of that kernel, so
 * for the log itself the third opinion is what the writers noted down.
 */
export function clickHouse({ npm }: Tools): Reader {
  return (asked) => ask(process.execPath, [program('read-clickhouse.ts'), npm], asked)
}

async function ask(command: string, args: string[], asked: ReadRequest): Promise<TableRead> {
  const running = promisify(execFile)(command, args, { maxBuffer: outputBytesMax })
  running.child.stdin?.end(JSON.stringify(asked))
  const { stdout } = await running
  return JSON.parse(stdout)
}

interface Page<Item> {
  items: Item[]
  nextCursor?: string
}

/** The service: its history, its snapshots, and the rows of the files that it says are live. */
export function service(address: string, { table }: Expected): Reader {
  const client = connect(address, 'reader')
  const list = async <Item>(path: string): Promise<Item[]> => {
    const page = await client.get<Page<Item>>(`/tables/${table.id}${path}`)
    if (page.nextCursor !== undefined) throw new Error(`${path} has more than one page`)
    return page.items
  }
  const readVersion = async (query: string): Promise<VersionRead> => {
    const { version, metadata } = await client.get<{
      version: number
      metadata: { schemaString: string; partitionColumns: string[] }
    }>(`/tables/${table.id}/snapshot${query}`)
    const columns: Column[] = JSON.parse(metadata.schemaString).fields
    const { location } = table
    const layout = { location, columns, partitionColumns: metadata.partitionColumns }
    const files = await list<{ add: AddFile }>(`/files?limit=1000&version=${version}`)
    const rows = await Promise.all(files.map(({ add }) => readDataFile(layout, add)))
    return { version, columns, rows: rows.flat() }
  }
  return async ({ versions }) => {
    const history = await list<{ operation: string }>('/commits?limit=1000')
    return {
      newest: await readVersion(''),
      operations: history.map(({ operation }) => operation).toReversed(),
      versions: await Promise.all(versions.map((version) => readVersion(`?version=${version}`))),
    }
  }
}
