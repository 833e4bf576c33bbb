import { Readable } from 'node:stream'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { type S3Connection, S3Error, type SdkError } from './s3-connection.ts'
import type { ByteRange } from './storage.ts'

/** An object, and what of it is wanted. */
export interface S3Source {
  bucket: string
  key: string
  range: ByteRange | undefined
}

/** Breaks at one place of an object before it is given up. */
const breaksMax = 3

/**
 * Reads an object, or bytes of it. Resolves when the first answer has begun; undefined when there is no such object.
 * A stream that breaks is taken up where it was, of the same object; one that ends early fails.
 */
export async function readS3Object(
  connection: S3Connection,
  source: S3Source,
): Promise<Readable | undefined> {
  try {
    const first = await get(connection, source)
    const stream = Readable.from(bytesOf(connection, source, first), { objectMode: false })
    // Who lets go of it before its first byte has not begun to read the answer.
    return stream.once('close', () => (first.Body as Readable).destroy())
  } catch (error) {
    if (!(error instanceof S3Error)) throw error
    if (error.reason === 'NoSuchKey') return undefined
    if (error.reason === 'InvalidRange') return Readable.from([])
    throw error
  }
}

async function* bytesOf(
  connection: S3Connection,
  source: S3Source,
  first: GetObjectCommandOutput,
): AsyncGenerator<Uint8Array> {
  const wanted = extentOf(source, first)
  let answer = first
  for (let breaks = 0; ; ) {
    try {
      for await (const chunk of answer.Body as Readable) {
        wanted.start += chunk.length
        if (wanted.start > wanted.end) break
        breaks = 0
        yield chunk
      }
      if (wanted.start !== wanted.end) throw wrongLength(source)
      return
    } catch (error) {
      breaks += 1
      if (isWrong(error) || breaks > breaksMax) throw toS3Error(source, error)
    }
    answer = await get(connection, { ...source, range: wanted }, first.ETag)
    const { start, total } = extentOf(source, answer)
    if (start !== wanted.start || total !== wanted.total) throw wrongLength(source)
  }
}

function get(connection: S3Connection, source: S3Source, etag?: string) {
  const { bucket, key, range } = source
  return connection.ask(reading(source), ({ client, sdk, options }) =>
    client.send(
      new sdk.GetObjectCommand({
        Bucket: bucket,
        Key: key,
        ...(range !== undefined && { Range: `bytes=${range.start}-${range.end - 1}` }),
        ...(etag !== undefined && { IfMatch: etag }),
      }),
      options,
    ),
  )
}

/** Which bytes an answer has, and how many the object, by what it says. */
function extentOf(source: S3Source, answer: GetObjectCommandOutput): ByteRange & { total: number } {
  const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(answer.ContentRange ?? '')
  if (range !== null) {
    const [start = 0, last = 0, total = 0] = range.slice(1).map(Number)
    return { start, end: last + 1, total }
  }
  if (source.range !== undefined || answer.ContentLength === undefined) throw wrongLength(source)
  return { start: 0, end: answer.ContentLength, total: answer.ContentLength }
}

/** Whether what came was whole and wrong, by its length or its checksum. The SDK has no other name for the latter. */
function isWrong(error: unknown): boolean {
  return error instanceof S3Error || String(error).includes('Checksum mismatch')
}

function reading({ bucket, key }: S3Source): string {
  return `Reading s3://${bucket}/${key}`
}

function wrongLength(source: S3Source): S3Error {
  return new S3Error(reading(source), { name: 'WrongLength' })
}

function toS3Error(source: S3Source, error: unknown): S3Error {
  if (error instanceof S3Error) return error
  const isBroken = !isWrong(error)
  return new S3Error(reading(source), isBroken ? (error as SdkError) : { name: 'WrongChecksum' })
}
