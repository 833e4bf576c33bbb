import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { EmbeddedConnection } from '../../src/database/embedded.ts'

/** What `pgbench` makes of one transaction script. */
export interface PgbenchResult {
  perSecond: number
}

/** Runs `pgbench`, which must be on the path, with prepared statements on a database. */
export async function runPgbench(
  connection: EmbeddedConnection,
  { script, clients, seconds }: { script: string; clients: number; seconds: number },
): Promise<PgbenchResult> {
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-pgbench-'))
  const file = join(folder, 'transaction.sql')
  await writeFile(file, script)
  try {
    const { stdout } = await promisify(execFile)('pgbench', [
      ...['-h', connection.host, '-p', String(connection.port), '-U', connection.user],
      ...['-n', '-M', 'prepared', '-f', file],
      ...['-c', String(clients), '-j', '2', '-T', String(seconds)],
      connection.database,
    ])
    const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
    if (!(perSecond > 0)) throw new Error(`pgbench told no rate: ${stdout}`)
    return { perSecond }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
