import type { FileMetaData, RowGroup, SchemaElement } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'

/** What a footer says besides its row groups. */
interface FooterOptions {
  schema: SchemaElement[]
  createdBy: string
}

/** The type of structs in lists of Thrift's compact protocol, which count up to 14 in their first byte. */
const structType = 12
const lengthBytes = 4

/**
 * The metadata of a Parquet file, in which each row group is kept as the bytes that stand for it: of a million rows with
 * hundreds of columns the library's objects would take hundreds of megabytes.
 */
export class ParquetFooter {
  readonly #options: FooterOptions
  readonly #writer = new ByteWriter()
  readonly #groups: Uint8Array[] = []
  #rows = 0n
  /** How many bytes follow the row groups. */
  readonly #endLength: number

  constructor(options: FooterOptions) {
    this.#options = options
    const empty = this.#encode([]).slice()
    const one = this.#encode([{ ...noRows, columns: [] }])
    // The list of row groups is where they begin to differ, by its length.
    this.#endLength = empty.length - 1 - empty.findIndex((byte, at) => byte !== one[at])
  }

  add(group: RowGroup): void {
    const before = this.#encode([]).length - this.#endLength
    const bytes = this.#encode([group])
    this.#groups.push(bytes.slice(before, bytes.length - this.#endLength))
    this.#rows += group.num_rows
  }

  /** Writes the end of the file. */
  appendTo(writer: ByteWriter): void {
    const empty = this.#encode([])
    const listAt = empty.length - this.#endLength - 1
    const begin = writer.offset
    writer.appendBytes(empty.subarray(0, listAt))
    const count = this.#groups.length
    writer.appendUint8((Math.min(count, 15) << 4) | structType)
    if (count >= 15) writer.appendVarInt(count)
    for (const group of this.#groups.splice(0)) writer.appendBytes(group)
    writer.appendBytes(empty.subarray(listAt + 1, -lengthBytes))
    writer.appendUint32(writer.offset - begin)
    writer.appendBytes(new TextEncoder().encode('PAR1'))
  }

  /** The metadata of a file with these row groups and its length; what the bytes lie in is used again by the next call. */
  #encode(row_groups: RowGroup[]): Uint8Array {
    const { schema, createdBy } = this.#options
    const metadata = { version: 2, created_by: createdBy, schema, num_rows: this.#rows, row_groups }
    const writer = this.#writer
    writer.index = 0
    writeMetadata(writer, metadata as FileMetaData)
    return writer.getBytes()
  }
}

const noRows = { total_byte_size: 0n, num_rows: 0n }
