import { addOf, type BareDatabase } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { makeTables } from './commits.ts'
import { runLoad } from './http-load.ts'

const versions = 100_000
const filesEach = 10
const commitsEach = 500

/** A commit to a table with a million files and a hundred thousand versions, beside one to a new table. */
export const growth: Benchmark = {
  bar: `a commit to a table of ${versions * filesEach} files takes at most 1.2 × as long as one to a new table`,
  async prepare(ground) {
    const [grown = '', young = ''] = await makeTables(ground, 2)
    await grow(ground.database, grown)
    // The first commits meet connections that have prepared nothing yet.
    for (const table of [grown, young]) await latencyOf(ground, table, 'warm')
    return [grown, young]
  },
  async round(ground, [grown = '', young = ''], number) {
    const newMs = await latencyOf(ground, young, `r${number}`)
    const grownMs = await latencyOf(ground, grown, `r${number}`)
    return {
      'commit to the new table, p50 ms': newMs,
      'commit to the grown table, p50 ms': grownMs,
      'grown × new': grownMs / newMs,
    }
  },
}

/** One commit at a time: each tells what it has read, adds a file and removes that of the one before. */
async function latencyOf(ground: Ground, table: string, run: string): Promise<number> {
  const { address } = ground
  const { version } = await ground.call('GET', `/tables/${table}`)
  const { p50Ms } = await runLoad({
    address,
    connections: 1,
    milliseconds: 60_000,
    request: (_, count) => {
      if (count === commitsEach) return undefined
      const add = { add: addOf(`${run}-${count}`) }
      const remove = { remove: { path: `${run}-${count - 1}`, dataChange: true } }
      return {
        path: `/tables/${table}/commits`,
        body: JSON.stringify({
          operation: 'WRITE',
          readVersion: version + count,
          idempotency: { appId: 'app', version: version + count + 1 },
          actions: count === 0 ? [add] : [remove, add],
        }),
      }
    },
  })
  return p50Ms
}

/** Writes as many versions as if they had been committed and published, each with files and an app transaction. */
async function grow(database: BareDatabase, table: string): Promise<void> {
  const add = JSON.stringify({ add: addOf('FILE') }).replaceAll("'", "''")
  await database.run(`
    insert into commits (table_id, version, in_commit_timestamp, operation, num_added_files,
      num_removed_files, num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records,
      num_files_without_records, commit_info)
    select '${table}', v, (select in_commit_timestamp from tables where id = '${table}') + v, 'WRITE',
      ${filesEach}, 0, ${filesEach} * 1024, 0, v * ${filesEach}, v * ${filesEach} * 1024,
      v * ${filesEach}, 0, '{"commitInfo":{"operation":"WRITE"}}'
    from generate_series(1, ${versions}) v;
    insert into files (table_id, added_version, added_position, path, size, num_records, add)
    select '${table}', v, f, 'part-' || v || '-' || f, 1024, 1,
      replace('${add}', 'FILE', 'part-' || v || '-' || f)::json
    from generate_series(1, ${versions}) v, generate_series(1, ${filesEach}) f;
    insert into actions (table_id, version, position, kind, key, app_version, superseded_version, action)
    select '${table}', v, ${filesEach} + 1, 'txn', 'app', v, nullif(v + 1, ${versions} + 1),
      json_build_object('txn', json_build_object('appId', 'app', 'version', v))
    from generate_series(1, ${versions}) v;
    update tables set version = ${versions}, in_commit_timestamp = in_commit_timestamp + ${versions},
      num_files = ${versions * filesEach}, size_in_bytes = ${versions * filesEach} * 1024,
      num_records = ${versions * filesEach}
    where id = '${table}';
    update mirrors set published_version = ${versions} where table_id = '${table}';`)
  await database.run('vacuum analyze commits, files, actions, tables, mirrors')
}
