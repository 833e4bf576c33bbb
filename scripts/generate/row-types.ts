import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { EmbeddedConnection } from '../../src/database/embedded.ts'

/** What each database type is in the program; `src/database/connect.ts` sets the parsers to match. */
const types = {
  int8: 'BigInteger',
  json: 'string',
  xid8: 'string',
  pg_snapshot: 'string',
  timestamptz: 'Instant',
}

/** Columns that can hold any Delta long. */
const longs = [
  'tables.size_in_bytes',
  'tables.num_records',
  'commits.num_added_bytes',
  'commits.num_removed_bytes',
  'commits.size_in_bytes',
  'commits.num_records',
  'files.size',
  'runs.commit_sequence',
  'run_numbers.commit_sequence',
  'run_attempts.commit_sequence',
]
const overrides = {
  columns: {
    ...Object.fromEntries(longs.map((column) => [column, 'LongColumn'])),
    'files.num_records': 'LongColumn | null',
    'tables.row_id_high_water_mark': 'LongColumn | null',
  },
}
const imports = Object.fromEntries(
  ['BigInteger', 'LongColumn', 'Instant'].map((type) => [type, './columns.ts']),
)

/** The types of the rows of every table, as TypeScript. */
export async function describeRows(connection: EmbeddedConnection): Promise<string> {
  const { host, port, user, database } = connection
  const command = fileURLToPath(
    new URL('../../node_modules/kysely-codegen/dist/cli/bin.js', import.meta.url),
  )
  const { stdout } = await promisify(execFile)(process.execPath, [
    command,
    '--print',
    ...['--dialect', 'postgres'],
    ...['--url', `postgres://${user}@${encodeURIComponent(host)}:${port}/${database}`],
    ...['--exclude-pattern', 'migrations*'],
    ...['--type-mapping', JSON.stringify(types)],
    ...['--custom-imports', JSON.stringify(imports)],
    ...['--overrides', JSON.stringify(overrides)],
  ])
  return stdout.slice(stdout.indexOf('/**'))
}
