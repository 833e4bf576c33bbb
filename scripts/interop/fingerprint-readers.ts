import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Asked, Found } from './fingerprint.ts'
import type { Spark, Tools } from './tools.ts'

/** Reads folders in its own way, knowing nothing of what to find; answers one for each. */
export interface FingerprintReader {
  name: string
  read: (folders: readonly Asked[]) => Promise<Found[]>
}

const outputBytesMax = 256 * 1024 * 1024
/** Folders that one process reads, so that what brings it down does so for few. */
const foldersMax = 16
const program = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** delta-rs, the engine of `deltalake` for Python. */
export function deltaRs({ python }: Tools): FingerprintReader {
  const args = [program('fingerprint_delta_rs.py')]
  return { name: 'delta-rs', read: (folders) => ask(python, args, folders) }
}

/** delta-kernel-rs, as ClickHouse uses it. */
export function deltaKernelRs({ npm }: Tools): FingerprintReader {
  const args = [program('fingerprint-clickhouse.ts'), npm]
  return {
    name: 'delta-kernel-rs',
    async read(folders) {
      const found: Found[] = []
      for (let at = 0; at < folders.length; at += foldersMax) {
        found.push(...(await ask(process.execPath, args, folders.slice(at, at + foldersMax))))
      }
      return found
    },
  }
}

/** Spark with Delta. */
export function spark({ python, packages, folder }: Spark): FingerprintReader {
  const args = [program('fingerprint_spark.py'), packages, folder]
  return { name: 'Spark', read: (folders) => ask(python, args, folders) }
}

async function ask(command: string, args: string[], folders: readonly Asked[]): Promise<Found[]> {
  const running = promisify(execFile)(command, args, { maxBuffer: outputBytesMax })
  running.child.stdin?.end(JSON.stringify(folders))
  const { stdout } = await running
  return JSON.parse(stdout)
}
