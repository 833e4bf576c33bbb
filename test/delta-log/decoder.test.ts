import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { SchemaElement } from 'hyparquet'
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import t, { type Test } from 'tap'
import { checkpointLines } from '../../src/delta-log/checkpoint-lines.ts'
import { decodeCheckpoint } from '../../src/delta-log/decoder.ts'
import { type Extent, type ReadLimits, readLimits } from '../../src/delta-log/planned-reads.ts'

const optional = (name: string, more: Partial<SchemaElement>): SchemaElement => ({
  name,
  repetition_type: 'OPTIONAL',
  ...more,
})
const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const

const schema: SchemaElement[] = [
  { name: 'root', num_children: 2 },
  optional('txn', { num_children: 2 }),
  optional('appId', text),
  optional('version', { type: 'INT64' }),
  optional('add', { num_children: 5 }),
  { name: 'path', repetition_type: 'REQUIRED', ...text },
  optional('partitionValues', { num_children: 1, converted_type: 'MAP' }),
  { name: 'key_value', repetition_type: 'REPEATED', num_children: 2 },
  { name: 'key', repetition_type: 'REQUIRED', ...text },
  optional('value', text),
  optional('size', { type: 'INT64' }),
  optional('dataChange', { type: 'BOOLEAN' }),
  optional('stats', text),
]

const rowCount = 12_000

/** Mostly adds, some of them without statistics or with more partition values than others. */
function actionOf(number: number) {
  if (number % 1000 === 7) return { txn: { appId: `app ${number}`, version: number } }
  const partitionValues = Object.fromEntries(
    Array.from({ length: number % 3 }, (_, at) => [
      `p${at}`,
      number % 5 === 0 ? null : `${number % 7}`,
    ]),
  )
  const stats = number % 4 === 0 ? {} : { stats: JSON.stringify({ numRecords: number }) }
  const path = `part-${number}.parquet`
  return {
    add: { path, partitionValues, size: number, dataChange: number % 2 === 0, ...stats },
  }
}

const actions = Array.from({ length: rowCount }, (_, number) => actionOf(number))
const wanted = actions.map((action) => JSON.stringify(action))

/** A file of these actions, whose pages and row groups are small or large. */
function encode(
  codec: 'GZIP' | 'ZSTD' | 'SNAPPY' | 'UNCOMPRESSED',
  pageSize: number,
  group: number,
) {
  const writer = new ByteWriter()
  const compressors = {
    GZIP: (bytes: Uint8Array) => gzipSync(bytes),
    ZSTD: (bytes: Uint8Array) => zstdCompressSync(bytes),
  }
  const parquet = new ParquetWriter({ writer, schema, codec, compressors })
  const exact = (one: { version?: number; size?: number } | undefined, name: 'version' | 'size') =>
    one && { ...one, [name]: BigInt(one[name] ?? 0) }
  const columnData = [
    { name: 'txn', data: actions.map((one) => exact(one.txn, 'version')) },
    { name: 'add', data: actions.map((one) => exact(one.add, 'size')) },
  ]
  void parquet.write({ columnData, pageSize, rowGroupSize: group })
  void parquet.finish()
  return new Uint8Array(writer.getBuffer())
}

function readerOf(bytes: Uint8Array) {
  return async (start: number, end: number) => bytes.slice(start, end).buffer
}

async function linesOf(source: AsyncIterable<readonly string[]>): Promise<string[]> {
  const lines: string[] = []
  for await (const some of source) lines.push(...some)
  return lines
}

t.test('rows become lines, whatever the pages and row groups they lie in', async (t) => {
  for (const [codec, pageSize, group] of [
    ['ZSTD', 1024, rowCount],
    ['GZIP', 1024 * 1024, 5000],
    ['SNAPPY', 10_000, 777],
    ['UNCOMPRESSED', 100, rowCount],
  ] as const) {
    const bytes = encode(codec, pageSize, group)
    const lines = await linesOf(checkpointLines(readerOf(bytes), bytes.length))
    t.strictSame(lines, wanted, `${codec}, pages of ${pageSize}`)
  }
})

/** Reads of a file, each with where it began and ended. */
async function readsOf(t: Test, bytes: Uint8Array, limits?: ReadLimits) {
  const read = readerOf(bytes)
  const reads: Extent[] = []
  const lines = checkpointLines(
    (start, end) => {
      reads.push({ start, end })
      return read(start, end)
    },
    bytes.length,
    limits,
  )
  t.strictSame(await linesOf(lines), wanted)
  return reads
}

t.test('a small file is read at once', async (t) => {
  const bytes = encode('ZSTD', 10_000, 5000)
  t.strictSame(await readsOf(t, bytes), [{ start: 0, end: bytes.length }])
})

t.test('chunks that lie together are read together, as many as may be held', async (t) => {
  const bytes = encode('UNCOMPRESSED', 10_000, 1000)
  const tailBytes = 10_000
  const limits = { ...readLimits, tailBytes, heldBytes: bytes.length / 3 }
  const reads = await readsOf(t, bytes, limits)
  t.ok(reads.length <= 6, `${reads.length} reads`)
  for (const { start, end } of reads) t.ok(end - start <= limits.heldBytes, `${start} to ${end}`)
})

t.test('of chunks that are too large to be held pieces are read', async (t) => {
  const bytes = encode('UNCOMPRESSED', 1000, rowCount)
  const pieceBytes = { min: 10_000, max: 20_000 }
  const limits = { tailBytes: 10_000, heldBytes: 50_000, aheadBytes: 100_000, pieceBytes }
  const reads = await readsOf(t, bytes, limits)
  t.ok(reads.length > 20, `${reads.length} reads`)
  for (const { start, end } of reads) t.ok(end - start <= limits.heldBytes, `${start} to ${end}`)
  const total = reads.reduce((sum, { start, end }) => sum + end - start, 0)
  t.ok(total < bytes.length + limits.heldBytes, 'and nothing twice')
})

t.test('a thread decodes, and the end is the end', async (t) => {
  const bytes = encode('ZSTD', 10_000, 5000)
  const read = readerOf(bytes)
  t.strictSame(await linesOf(decodeCheckpoint(read, bytes.length)), wanted)
})

t.test('who takes no more lines ends the thread', async (t) => {
  const bytes = encode('ZSTD', 10_000, 5000)
  for await (const lines of decodeCheckpoint(readerOf(bytes), bytes.length)) {
    t.strictSame(lines, wanted.slice(0, lines.length))
    break
  }
})

t.test('a read that fails is told as it is', async (t) => {
  const bytes = encode('UNCOMPRESSED', 10_000, 5000)
  t.ok(bytes.length > readLimits.tailBytes, 'it is read in several')
  const read = readerOf(bytes)
  const gone = new Error('the store is away')
  const lines = decodeCheckpoint(
    (start, end) => (end < bytes.length ? Promise.reject(gone) : read(start, end)),
    bytes.length,
  )
  await t.rejects(linesOf(lines), gone)
})

t.test('a file that is damaged is told as such', async (t) => {
  const bytes = encode('UNCOMPRESSED', 10_000, 5000)
  const cases: [string, Uint8Array][] = [
    ['no Parquet', new TextEncoder().encode('PAR1 and so on, but nothing behind it')],
    ['zeroes where pages were', bytes.map((byte, at) => (at < bytes.length / 2 ? 0 : byte))],
  ]
  for (const [what, damaged] of cases) {
    const lines = decodeCheckpoint(readerOf(damaged), damaged.length)
    await t.rejects(linesOf(lines), Error, what)
  }
})
