import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type RowGroup,
  type SchemaElement,
  type SchemaTree,
} from 'hyparquet'
import type { Folder } from '../storage/storage.ts'

/** A Parquet file that was opened: what its columns are, and its rows. */
export interface ParquetRows {
  schema: SchemaTree
  /**
   * Rows from the first on, some at a time, without the columns below `left`, whose names are joined by dots. Numbers,
   * times and decimals come as they are stored, so that none is rounded; texts as texts.
   */
  rows: (left: readonly string[]) => AsyncGenerator<Record<string, unknown>[]>
  /** Whether all values of a column are there in each row in which those of another are; false where that is not told. */
  isWhole: (column: string, beside: string) => boolean
  /** Whether no row has a value of a column, or of those below it; false where that is not told. */
  isEmpty: (column: string) => boolean
}

/** Values that are put together at once, and rows; where a file tells where its pages are, no other ones are read. */
const valuesMax = 2_000_000
const rowsAtOnce = { min: 10_000, max: 50_000 }

const compressors: Compressors = {
  GZIP: (bytes) => gunzipSync(bytes),
  BROTLI: (bytes) => brotliDecompressSync(bytes),
  ZSTD: (bytes) => zstdDecompressSync(bytes),
}

/** Opens a file. Throws when it is not there, or no Parquet. */
export async function openParquet(
  folder: Folder,
  name: string,
  size: number,
): Promise<ParquetRows> {
  const file: AsyncBuffer = {
    byteLength: size,
    slice: (start, end = size) => readRange(folder, name, { start, end }),
  }
  const metadata = await parquetMetadataAsync(file, { geoparquet: false })
  return {
    schema: parquetSchema(metadata),
    async *rows(left) {
      const read = asStored(without(metadata, left))
      const leaves = read.schema.filter(({ type }) => type !== undefined).length
      const { min, max } = rowsAtOnce
      const rowsMax = Math.max(min, Math.min(max, Math.floor(valuesMax / leaves)))
      let groupStart = 0
      for (const { num_rows } of metadata.row_groups) {
        const groupEnd = groupStart + Number(num_rows)
        for (let rowStart = groupStart; rowStart < groupEnd; rowStart += rowsMax) {
          const rowEnd = Math.min(rowStart + rowsMax, groupEnd)
          yield await readRows({ file, metadata: read, rowStart, rowEnd })
        }
        groupStart = groupEnd
      }
    },
    isWhole(column, beside) {
      return metadata.row_groups.every((group) => {
        const nulls = nullsOf(group, column)
        return nulls !== undefined && nulls === nullsOf(group, beside)
      })
    },
    isEmpty: (column) =>
      metadata.row_groups.every(({ columns, num_rows }) =>
        columns.every(
          ({ meta_data }) =>
            !isBelow(meta_data?.path_in_schema ?? [], column) ||
            meta_data?.statistics?.null_count === num_rows,
        ),
      ),
  }
}

function nullsOf({ columns }: RowGroup, column: string): bigint | undefined {
  const chunk = columns.find((one) => one.meta_data?.path_in_schema.join('.') === column)
  return chunk?.meta_data?.statistics?.null_count
}

async function readRange(
  folder: Folder,
  name: string,
  range: { start: number; end: number },
): Promise<ArrayBuffer> {
  const bytes = Buffer.concat(await (await folder.read(name, range)).toArray())
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
}

async function readRows(
  options: Pick<Parameters<typeof parquetRead>[0], 'file' | 'metadata' | 'rowStart' | 'rowEnd'>,
): Promise<Record<string, unknown>[]> {
  const { promise, resolve } = Promise.withResolvers<Record<string, unknown>[]>()
  await parquetRead({
    ...options,
    rowFormat: 'object',
    compressors,
    utf8: false,
    useOffsetIndex: true,
    geoparquet: false,
    parsers: { timestampFromNanoseconds: (nanos) => nanos / 1000n },
    onComplete: resolve,
  })
  return promise
}

/** Whether a path is that of a column, whose names are joined by dots, or leads below it. */
function isBelow(path: readonly string[], column: string): boolean {
  return path.slice(0, column.split('.').length).join('.') === column
}

/** The metadata of a file as if some columns were not there. */
function without(metadata: FileMetaData, left: readonly string[]): FileMetaData {
  const isLeft = (path: readonly string[]) => left.some((one) => isBelow(path, one))
  const elements = (node: SchemaTree): SchemaElement[] => {
    const kept = node.children.filter(({ path }) => !isLeft(path))
    const own =
      node.children.length > 0 ? { ...node.element, num_children: kept.length } : node.element
    return [own, ...kept.flatMap(elements)]
  }
  return {
    ...metadata,
    schema: elements(parquetSchema(metadata)),
    row_groups: metadata.row_groups.map((group) => ({
      ...group,
      columns: group.columns.filter(({ meta_data }) => !isLeft(meta_data?.path_in_schema ?? [])),
    })),
  }
}

/** The metadata of a file as if its numbers were nothing more, and bytes bytes, unless they are text. */
function asStored(metadata: FileMetaData): FileMetaData {
  return { ...metadata, schema: metadata.schema.map(storedElement) }
}

function storedElement(element: SchemaElement): SchemaElement {
  const { converted_type, logical_type, ...stored } = element
  const isText =
    converted_type === 'UTF8' || logical_type?.type === 'STRING' || converted_type === 'ENUM'
  if (element.type === undefined) return element
  return isText ? { ...stored, converted_type: 'UTF8' } : stored
}
