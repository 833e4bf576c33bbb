import { gzipSync, zstdCompressSync } from 'node:zlib'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import { type CheckpointRow, rowMaker } from '../delta/checkpoints/rows.ts'
import { type CheckpointContent, checkpointSchema } from '../delta/checkpoints/schema.ts'
import type { CheckpointSettings } from '../delta/checkpoints/settings.ts'
import { version } from '../version.ts'
import { ParquetFooter } from './parquet-footer.ts'
import { parquetSchema } from './parquet-schema.ts'

/** What a file of a checkpoint is to be. */
export interface EncodingOptions {
  settings: CheckpointSettings
  content: CheckpointContent
}

/** What a file of a checkpoint holds. */
export interface EncodedCounts {
  numActions: number
  numAddFiles: number
}

/** Encodes lines of a log as a file of a checkpoint, some rows at a time. */
export interface ParquetEncoding {
  /** Takes a line. Throws a RangeError for an action that the file cannot hold. */
  add: (line: string) => void
  /** Bytes that are done, if any; what they lie in is used again for the next. */
  take: () => Uint8Array | undefined
  /** The last bytes, once no line will come. */
  finish: () => Uint8Array
  counts: () => EncodedCounts
}

/** What is encoded in one go, and so held in memory: rows, their values, and characters of their lines. */
const groupMax = { rows: 20_000, values: 600_000, length: 16 * 1024 * 1024 }

const fileActions: ReadonlySet<string> = new Set(['add', 'remove'])

export function openParquetEncoding({ settings, content }: EncodingOptions): ParquetEncoding {
  const schema = checkpointSchema(settings, content)
  const names = schema.fields.map(({ name }) => name)
  const makeRow = rowMaker(settings, content)
  const writer = new ByteWriter(1024 * 1024)
  const described = { schema: parquetSchema(schema), createdBy: `deltaworks ${version}` }
  const parquet = new ParquetWriter({
    writer,
    ...described,
    codec: settings.codec,
    compressors: { GZIP: (bytes) => gzipSync(bytes), ZSTD: (bytes) => zstdCompressSync(bytes) },
  })
  const footer = new ParquetFooter(described)
  const leaves = described.schema.filter(({ type }) => type !== undefined).length
  const rowsMax = Math.min(groupMax.rows, Math.ceil(groupMax.values / leaves))
  const counts = { numActions: 0, numAddFiles: 0 }
  let rows: CheckpointRow[] = []
  let length = 0

  function endGroup(): void {
    if (rows.length === 0) return
    const columnData = names.map((name) => ({
      name,
      offsetIndex: false,
      data: rows.map(({ column, value }) => (column === name ? value : undefined)),
    }))
    // Into memory it writes at once: there is no promise to wait for.
    void parquet.write({ columnData, rowGroupSize: rows.length })
    for (const group of parquet.row_groups.splice(0)) footer.add(group)
    parquet.pendingIndexes = []
    rows = []
    length = 0
  }

  function takeBytes(): Uint8Array {
    const bytes = writer.getBytes()
    writer.index = 0
    return bytes
  }

  return {
    add(line) {
      const row = makeRow(line)
      const before = rows.at(-1)
      // Who looks for the protocol and the metadata alone need not read the first files as well.
      if (before && fileActions.has(row.column) && !fileActions.has(before.column)) endGroup()
      rows.push(row)
      length += line.length
      counts.numActions += 1
      if (row.column === 'add') counts.numAddFiles += 1
      if (rows.length >= rowsMax || length >= groupMax.length) endGroup()
    },
    take: () => (writer.index === 0 ? undefined : takeBytes()),
    finish() {
      endGroup()
      footer.appendTo(writer)
      return takeBytes()
    },
    counts: () => ({ ...counts }),
  }
}
