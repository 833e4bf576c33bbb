import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import {
  type ColumnMetaData,
  type Compressors,
  type DecodedArray,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type RowGroup,
  type SchemaElement,
  type SchemaTree,
} from 'hyparquet'
import { assembleNested } from 'hyparquet/src/assemble.js'
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js'
import { getTreePath } from 'hyparquet/src/schema.js'
import { extentOf, ParquetColumn, type ReadRange } from './parquet-column.ts'
import {
  type Extent,
  inGroups,
  planReads,
  type ReadLimits,
  type ReadPlan,
  readByRanges,
} from './planned-reads.ts'

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

/** Values that are put together at once, and rows. */
const valuesMax = 200_000
const rowsAtOnce = { min: 100, max: 5_000 }

const compressors: Compressors = {
  GZIP: (bytes) => gunzipSync(bytes),
  BROTLI: (bytes) => brotliDecompressSync(bytes),
  ZSTD: (bytes) => zstdDecompressSync(bytes),
}

/** How numbers and times come: as they are stored. */
const parsers = {
  ...DEFAULT_PARSERS,
  timestampFromNanoseconds: (nanos: bigint) => nanos / 1000n,
}

/** Opens a file of this size. Throws when it is no Parquet. */
export async function openParquet(
  read: ReadRange,
  size: number,
  limits: ReadLimits,
): Promise<ParquetRows> {
  const tail = { start: Math.max(0, size - limits.tailBytes), end: size }
  const readFile = readByRanges(read, [tail])
  const file = { byteLength: size, slice: (start: number, end = size) => readFile(start, end) }
  const initialFetchSize = limits.tailBytes
  const metadata = await parquetMetadataAsync(file, { geoparquet: false, initialFetchSize })
  return {
    schema: parquetSchema(metadata),
    async *rows(left) {
      const wanted = asStored(without(metadata, left))
      const schema = parquetSchema(wanted)
      const groups = wanted.row_groups.map(groupOf)
      for (const some of inGroups(groups, bytesOf, limits.heldBytes)) {
        const plan = planReads(
          some.flatMap(({ columns }) => columns.map(({ extent }) => extent)),
          limits,
        )
        const readPlanned = readByRanges(readFile, plan.ranges)
        for (const group of some) yield* rowsOf(group, schema, { read: readPlanned, plan })
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

/** A row group, and where its column chunks lie. */
interface Group {
  rows: number
  columns: { chunk: ColumnMetaData; extent: Extent }[]
}

function groupOf({ columns, num_rows }: RowGroup): Group {
  return {
    rows: Number(num_rows),
    columns: columns.map(({ meta_data: chunk }) => {
      if (chunk === undefined) throw new Error('a column is in another file')
      return { chunk, extent: extentOf(chunk) }
    }),
  }
}

/** From the first byte that is needed of a group to the last. */
function bytesOf({ columns }: Group): number {
  const starts = columns.map(({ extent }) => extent.start)
  const ends = columns.map(({ extent }) => extent.end)
  return columns.length === 0 ? 0 : Math.max(...ends) - Math.min(...starts)
}

/** The rows of a row group, some at a time. */
async function* rowsOf(
  { rows, columns: chunks }: Group,
  schema: SchemaTree,
  { read, plan }: { read: ReadRange; plan: ReadPlan },
): AsyncGenerator<Record<string, unknown>[]> {
  const rowsMax = within(Math.floor(valuesMax / Math.max(1, chunks.length)), rowsAtOnce)
  const columns = chunks.map(({ chunk, extent }) => {
    const schemaPath = getTreePath(schema, chunk.path_in_schema)
    const isWhole = plan.ranges.some(({ start, end }) => start <= extent.start && extent.end <= end)
    const pieceBytes = isWhole ? extent.end - extent.start : plan.pieceBytes
    return new ParquetColumn({ read, chunk, extent, schemaPath, pieceBytes, compressors, parsers })
  })
  for (let rest = rows; rest > 0; rest -= rowsMax) {
    yield await takeRows(columns, schema, Math.min(rest, rowsMax))
  }
}

async function takeRows(
  columns: readonly ParquetColumn[],
  schema: SchemaTree,
  count: number,
): Promise<Record<string, unknown>[]> {
  const taken = await Promise.all(
    columns.map(async (column) => {
      const values = await column.take(count)
      if (values.length === count) return [column.path, values] as const
      throw new Error(`the column ${column.path} has fewer rows than the file`)
    }),
  )
  const byPath = new Map<string, DecodedArray>(taken)
  for (const column of schema.children) {
    if (column.children.length > 0) assembleNested(byPath, column, parsers)
  }
  const named = schema.children.flatMap(({ element: { name } }) => {
    const values = byPath.get(name)
    return values === undefined ? [] : [[name, values] as const]
  })
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(named.map(([name, values]) => [name, values[row]])),
  )
}

function within(value: number, { min, max }: { min: number; max: number }): number {
  return Math.max(min, Math.min(max, value))
}

function nullsOf({ columns }: RowGroup, column: string): bigint | undefined {
  const chunk = columns.find((one) => one.meta_data?.path_in_schema.join('.') === column)
  return chunk?.meta_data?.statistics?.null_count
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
