import type { ColumnMetaData, DecodedArray, SchemaTree } from 'hyparquet'
import { assembleLists } from 'hyparquet/src/assemble.js'
import { parquetHeader, readPage } from 'hyparquet/src/column.js'
import { convert, convertWithDictionary } from 'hyparquet/src/convert.js'
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js'
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from 'hyparquet/src/schema.js'
import type { Extent } from './planned-reads.ts'

type ColumnDecoder = Parameters<typeof readPage>[2]
type PageHeader = ReturnType<typeof parquetHeader>

/** Bytes of a file from `start` up to before `end`. */
export type ReadRange = (start: number, end: number) => Promise<ArrayBuffer>

export interface ColumnOptions extends Pick<ColumnDecoder, 'compressors' | 'parsers'> {
  read: ReadRange
  chunk: ColumnMetaData
  /** From the root to the leaf. */
  schemaPath: SchemaTree[]
  extent: Extent
  /** Bytes that are read at once, unless a page has more. */
  pieceBytes: number
}

/** The values of a page, and what of them was taken. */
interface Page {
  /** Levels of definition; empty when every entry has a value. */
  definitions: Uint8Array
  /** Levels of repetition; empty when every entry is a row. */
  repetitions: Uint8Array
  values: DecodedArray
  entries: number
  entryAt: number
  valueAt: number
}

/** A leaf column of a row group, of which one page is held in memory at a time. */
export class ParquetColumn {
  readonly path: string
  readonly #decoder: ColumnDecoder
  readonly #bytes: ChunkBytes
  readonly #levelMax: number
  readonly #repeats: boolean
  #dictionary: DecodedArray | undefined
  #page: Page | undefined

  constructor(options: ColumnOptions) {
    const { read, chunk, extent, schemaPath, pieceBytes, compressors, parsers } = options
    const { element, path } = schemaPath.at(-1) as SchemaTree
    this.path = path.join('.')
    const { type, codec } = chunk
    const of = { pathInSchema: path, type, element, schemaPath, codec, parsers, utf8: false }
    this.#decoder = { ...of, ...(compressors !== undefined && { compressors }) }
    this.#bytes = new ChunkBytes(read, extent, pieceBytes)
    this.#levelMax = getMaxDefinitionLevel(schemaPath)
    this.#repeats = getMaxRepetitionLevel(schemaPath) > 0
  }

  /** The values of the next rows, lists in lists as deep as they are nested; fewer where the column ends. */
  async take(count: number): Promise<unknown[]> {
    const rows: unknown[] = []
    // A row that repeats may go on in the next page.
    while (rows.length < count || this.#repeats) {
      const page = await this.#pageAtHand()
      if (page === undefined) break
      const end = endOfRows(page, count - rows.length)
      if (end === page.entryAt) break
      this.#assemble(page, end, rows)
    }
    return rows
  }

  #assemble(page: Page, end: number, rows: unknown[]): void {
    const { entryAt, valueAt } = page
    const definitions = Array.from(page.definitions.subarray(entryAt, end))
    const numValues =
      definitions.length === 0
        ? end - entryAt
        : definitions.filter((level) => level === this.#levelMax).length
    const values = page.values.slice(valueAt, valueAt + numValues)
    const repetitions = Array.from(page.repetitions.subarray(entryAt, end))
    const { schemaPath } = this.#decoder
    const assembled = assembleLists(rows, definitions, repetitions, values, schemaPath)
    // Where nothing can be missing the values are the rows.
    if (assembled !== rows) rows.push(...assembled)
    page.entryAt = end
    page.valueAt += numValues
  }

  /** The page that has entries left; undefined at the end. */
  async #pageAtHand(): Promise<Page | undefined> {
    while (this.#page === undefined || this.#page.entryAt === this.#page.entries) {
      this.#page = undefined
      const header = await this.#bytes.takeHeader()
      if (header === undefined) return undefined
      const bytes = await this.#bytes.take(header.compressed_page_size)
      if (header.type === 'DICTIONARY_PAGE') this.#dictionary = this.#readDictionary(bytes, header)
      else this.#page = this.#readPage(bytes, header)
    }
    return this.#page
  }

  #readDictionary(bytes: Uint8Array, header: PageHeader): DecodedArray {
    const reader = { view: viewOf(bytes), offset: 0 }
    const { data } = readPage(reader, header, this.#decoder, undefined, undefined, 0)
    return convert(data ?? [], this.#decoder)
  }

  #readPage(bytes: Uint8Array, header: PageHeader): Page {
    const { data_page_header: first, data_page_header_v2: second } = header
    const own = second ?? first
    if (own === undefined) throw new Error(`a page of ${this.path} has no header of its kind`)
    const { codec, compressors } = this.#decoder
    const read =
      first === undefined
        ? readDataPageV2(bytes, header, this.#decoder)
        : readDataPage(
            decompressPage(bytes, Number(header.uncompressed_page_size), codec, compressors),
            first,
            this.#decoder,
          )
    const { definitionLevels = [], repetitionLevels, dataPage } = read
    return {
      definitions: Uint8Array.from(definitionLevels),
      repetitions: Uint8Array.from(repetitionLevels),
      values: convertWithDictionary(dataPage, this.#dictionary, own.encoding, this.#decoder),
      entries: own.num_values,
      entryAt: 0,
      valueAt: 0,
    }
  }
}

/** The entry behind those of so many more rows. An entry that repeats belongs to the row before it. */
function endOfRows({ repetitions, entries, entryAt }: Page, rows: number): number {
  if (repetitions.length === 0) return Math.min(entries, entryAt + rows)
  let begun = 0
  for (let at = entryAt; at < entries; at += 1) {
    if (repetitions[at] === 0) begun += 1
    if (begun > rows) return at
  }
  return entries
}

/** Where a column chunk lies in its file. */
export function extentOf(chunk: ColumnMetaData): Extent {
  const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset)
  return { start, end: start + Number(chunk.total_compressed_size) }
}

/** The bytes of a column chunk, of which some are read ahead. */
class ChunkBytes {
  readonly #read: ReadRange
  readonly #pieceBytes: number
  readonly #end: number
  /** Where the bytes that are held end. */
  #at: number
  #held = new Uint8Array()

  constructor(read: ReadRange, { start, end }: Extent, pieceBytes: number) {
    this.#read = read
    this.#pieceBytes = pieceBytes
    this.#at = start
    this.#end = end
  }

  async takeHeader(): Promise<PageHeader | undefined> {
    for (let bytes = this.#pieceBytes; ; bytes *= 2) {
      await this.#fill(bytes)
      if (this.#held.length === 0) return undefined
      const reader = { view: viewOf(this.#held), offset: 0 }
      const header = this.#tryHeader(reader)
      if (header === undefined) continue
      this.#held = this.#held.subarray(reader.offset)
      return header
    }
  }

  /** The bytes of a page. */
  async take(length: number): Promise<Uint8Array> {
    await this.#fill(length)
    if (this.#held.length < length) throw new Error('a page is longer than its column')
    const bytes = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return bytes
  }

  /** A header, unless it is longer than what is held. */
  #tryHeader(reader: { view: DataView; offset: number }): PageHeader | undefined {
    try {
      const header = parquetHeader(reader)
      if (reader.offset <= this.#held.length) return header
    } catch (error) {
      if (!(error instanceof RangeError) || this.#at === this.#end) throw error
    }
    if (this.#at === this.#end) throw new Error('the header of a page is longer than its column')
    return undefined
  }

  /** Holds so many bytes, or all that are left. */
  async #fill(length: number): Promise<void> {
    if (this.#held.length >= length || this.#at === this.#end) return
    const missing = Math.max(length - this.#held.length, this.#pieceBytes)
    const end = Math.min(this.#end, this.#at + missing)
    const bytes = new Uint8Array(await this.#read(this.#at, end))
    if (bytes.length !== end - this.#at) throw new Error('the file ends within a column')
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes])
    this.#at = end
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
