import { zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import t from 'tap'
import { openParquetEncoding } from '../../src/checkpoints/parquet-encoding.ts'
import { checkpointSettings } from '../../src/delta/checkpoints/settings.ts'
import { metadataOfLine } from '../../src/delta/table-state.ts'
import { add } from '../support/api.ts'

const columns = 3
const names = Array.from({ length: columns }, (_, index) => `c${index}`)
const schemaString = JSON.stringify({
  type: 'struct',
  fields: names.map((name) => ({ name, type: 'long', nullable: true, metadata: {} })),
})
const configuration = {
  'delta.checkpoint.writeStatsAsStruct': 'true',
  'delta.checkpoint.writeStatsAsJson': 'false',
  'delta.dataSkippingNumIndexedCols': '-1',
}
const metaData = { id: 'x', format: { provider: 'parquet', options: {} }, partitionColumns: [] }
const metadataLine = JSON.stringify({ metaData: { ...metaData, schemaString, configuration } })
const settings = checkpointSettings(metadataOfLine(metadataLine), {
  minReaderVersion: 1,
  minWriterVersion: 2,
})

/** Files, each behind an app transaction, so that each begins a row group. */
function encode(groups: number): ArrayBuffer {
  const encoding = openParquetEncoding({ settings, content: 'all' })
  const pieces: Uint8Array[] = []
  for (let number = 0; number < groups - 1; number += 1) {
    const values = Object.fromEntries(names.map((name, at) => [name, number * columns + at]))
    const stats = JSON.stringify({ numRecords: 1, minValues: values, maxValues: values })
    encoding.add(JSON.stringify({ txn: { appId: `app-${number}`, version: number } }))
    encoding.add(JSON.stringify(add(`file-${number}`, { stats })))
    pieces.push(Uint8Array.from(encoding.take() ?? []))
  }
  pieces.push(Uint8Array.from(encoding.finish()))
  return Uint8Array.from(Buffer.concat(pieces)).buffer
}

t.test('a file has as many row groups as it needs, and each is read', async (t) => {
  for (const groups of [2, 14, 15, 16, 200]) {
    const file = encode(groups)
    const { row_groups, num_rows, schema, created_by } = parquetMetadata(file)
    const count = groups - 1
    t.equal(row_groups.length, groups)
    t.equal(num_rows, BigInt(2 * count))
    t.match(created_by, /^deltaworks /)
    t.ok(schema.length > 3 * columns)
    const compressors = { ZSTD: (bytes: Uint8Array) => zstdDecompressSync(bytes) }
    const rows = await parquetReadObjects({ file, compressors, columns: ['txn', 'add'] })
    t.equal(rows.length, 2 * count)
    t.match(rows[0], { txn: { appId: 'app-0' } })
    const last = { c0: BigInt((count - 1) * columns), c2: BigInt(count * columns - 1) }
    t.match(rows.at(-1), {
      add: { path: `file-${count - 1}`, stats_parsed: { minValues: last, maxValues: last } },
    })
  }
})
