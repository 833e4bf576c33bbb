import type { Ground } from './benchmark.ts'

/** A table whose files were put into the database by SQL, for no benchmark of reading needs them committed. */
export interface FileTable {
  name: string
  files: number
  /** Files in each version. */
  perVersion: number
  partitionColumns: string[]
  /** The partition value of file `n`, as SQL; null without one. */
  day?: string
}

const schema = {
  type: 'struct',
  fields: [
    { name: 'id', type: 'long', nullable: true, metadata: {} },
    { name: 'day', type: 'date', nullable: true, metadata: {} },
    { name: 'amount', type: 'double', nullable: true, metadata: {} },
    { name: 'customer', type: 'string', nullable: true, metadata: {} },
  ],
}

/** Makes the table. File `n` holds the ids from 100 n to 100 n + 99. */
export async function makeFileTable({ call, database }: Ground, table: FileTable): Promise<string> {
  const { name, files, perVersion, partitionColumns, day } = table
  const { id } = await call('POST', '/tables', { name, schema, partitionColumns })
  const versions = Math.ceil(files / perVersion)
  const partition = day === undefined ? `''` : `'"day":"' || ${day} || '"'`
  const stats = `'{\\"numRecords\\":100,\\"minValues\\":{\\"id\\":' || n * 100
    || ',\\"amount\\":' || n % 977 || '.5,\\"customer\\":\\"customer-' || n % 5003 || '\\"},\\"maxValues\\":{\\"id\\":'
    || n * 100 + 99 || ',\\"amount\\":' || n % 977 + 10 || '.5,\\"customer\\":\\"customer-' || n % 5003
    || '-z\\"},\\"nullCount\\":{\\"id\\":0,\\"amount\\":3,\\"customer\\":0}}'`
  await database.run(`
    insert into files (table_id, added_version, added_position, path, size, num_records, add)
    select '${id}', 1 + n / ${perVersion}, 1 + n % ${perVersion}, 'part-' || n || '.parquet', 1000000 + n, 100,
      ('{"add":{"path":"part-' || n || '.parquet","partitionValues":{' || ${partition} || '},"size":' || 1000000 + n
        || ',"modificationTime":1795000000000,"dataChange":true,"stats":"' || ${stats} || '"}}')::json
    from generate_series(0, ${files - 1}) n;
    insert into commits (table_id, version, in_commit_timestamp, operation, num_added_files, num_removed_files,
      num_added_bytes, num_removed_bytes, num_files, size_in_bytes, num_records, num_files_without_records, commit_info)
    select '${id}', v, t.in_commit_timestamp + v, 'WRITE', ${perVersion}, 0, ${perVersion}, 0, v * ${perVersion},
      v * ${perVersion}, v * ${perVersion * 100}, 0, '{"commitInfo":{"operation":"WRITE"}}'
    from generate_series(1, ${versions}) v, tables t where t.id = '${id}';
    update tables set version = ${versions}, in_commit_timestamp = in_commit_timestamp + ${versions},
      num_files = ${files}, size_in_bytes = ${files}, num_records = ${files * 100} where id = '${id}';
    update mirrors set published_version = ${versions} where table_id = '${id}';
    analyze files; analyze commits;`)
  return id
}
