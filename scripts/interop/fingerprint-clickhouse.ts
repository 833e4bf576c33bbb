import { createRequire } from 'node:module'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { type Asked, type Found, hashOf, type VersionFound } from './fingerprint.ts'

// Reads folders of Delta tables with ClickHouse, over delta-kernel-rs, as the JSON on standard input asks, and prints
// what it finds. The folder of the installed package is the only argument.

interface Chdb {
  query: (sql: string, format: string) => string
}

const [npm = ''] = process.argv.slice(2)
const chdb = createRequire(join(npm, 'package.json'))('chdb') as Chdb
const folders = (await json(process.stdin)) as Asked[]
// It takes the path of a table for one below the folder it runs in.
process.chdir('/')

const exact = [
  'allow_experimental_delta_kernel_rs = 1',
  'output_format_decimal_trailing_zeros = 1',
  'output_format_json_quote_64bit_integers = 1',
  'output_format_json_quote_decimals = 1',
  'output_format_json_quote_denormals = 1',
  "session_timezone = 'UTC'",
]

function query(sql: string, version: number): string[] {
  const settings = [...exact, `delta_lake_snapshot_version = ${version}`]
  try {
    const text = chdb.query(`${sql} SETTINGS ${settings.join(', ')}`, 'JSONEachRow')
    return text.split('\n').filter((line) => line.trim() !== '')
  } catch (error) {
    // Rows of a query that fails come with those of the next one.
    chdb.query('SELECT 1', 'JSONEachRow')
    throw error
  }
}

const tableOf = (location: string) => `deltaLakeLocal('${location.replace(/[\\']/g, '\\$&')}')`

function readVersion(location: string, version: number): VersionFound {
  const found: VersionFound = { version }
  try {
    found.schema = query(`DESCRIBE ${tableOf(location)}`, version).join('\n')
    const rows = query(`SELECT * FROM ${tableOf(location)}`, version)
    return { ...found, rows: rows.length, hash: hashOf(rows) }
  } catch (error) {
    return { ...found, error: (error as Error).message }
  }
}

/** It does not tell which version is the newest, so it is asked for the one behind. */
function findNewest({ location, newest }: Asked): Found['newest'] {
  try {
    query(`DESCRIBE ${tableOf(location)}`, newest + 1)
    return newest + 1
  } catch {
    return newest
  }
}

const found: Found[] = folders.map((asked) => ({
  newest: findNewest(asked),
  versions: asked.versions.map((version) => readVersion(asked.location, version)),
}))
process.stdout.write(JSON.stringify(found))
