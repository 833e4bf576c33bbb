import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
} from 'kysely'

import { to as copyTo } from 'pg-copy-streams'
import type { Pool } from './connect.ts'
import type { DB as Database } from './types.ts'

/** Compiles, and runs nothing. */
const compiler = new Kysely<Database>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
})

/** Stands between the columns of a row. */
export const columnSeparator = '\u0002'
// Neither this nor the separator can stand in JSON, which would have them escaped, so nothing is ever quoted.
const quote = '\u0001'

/**
 * The rows of a query, one a line in UTF-8, as one statement sees them: `COPY … TO STDOUT`. Null is empty. Columns
 * must hold numbers or JSON without line breaks, and the query no parameters, which COPY does not take: write values
 * with `sql.lit`. The connection goes back to `pool` at the end; if the reader destroys the stream before, it is
 * closed, which ends the statement. `pool` must be one without pipelines.
 */
export async function copyOut(pool: Pool, query: RawBuilder<unknown>): Promise<Readable> {
  const { sql, parameters } = query.compile(compiler)
  if (parameters.length > 0) throw new Error('COPY takes no parameters')
  const client = await pool.connect()
  const format = `format csv, delimiter '${columnSeparator}', quote '${quote}', encoding 'utf8'`
  const rows = client.query(copyTo(`copy (${sql}) to stdout (${format})`))
  void finished(rows).then(
    () => client.release(),
    (error: Error) => client.release(error),
  )
  return rows
}

/** The same, once there are first bytes or none will come. What fails later breaks the rows off. */
export async function openCopy(pool: Pool, query: RawBuilder<unknown>): Promise<Readable> {
  const rows = await copyOut(pool, query)
  await once(rows, 'readable')
  return rows
}

/** Reads what `copyOut` gives, some rows at a time, each as its columns. */
export async function* readRows(rows: Readable): AsyncGenerator<string[][]> {
  let rest = ''
  rows.setEncoding('utf8')
  for await (const text of rows) {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    yield lines.map((line) => line.split(columnSeparator))
  }
}
