import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CompletedPart } from '@aws-sdk/client-s3'
import { Problem } from '../problems.ts'
import { type S3Call, type S3Connection, S3Error } from './s3-connection.ts'
import { readS3Object } from './s3-read.ts'
import type { PendingFile } from './storage.ts'

/** What is held in memory of a file, and the size of the parts of a larger one. S3 takes 10,000 of them. */
export const partBytes = 8 * 1024 * 1024

/** Times that a put is tried while another is under way. */
const attemptsMax = 8

/** An upload in parts. */
interface Upload {
  id: string
  parts: CompletedPart[]
}

/**
 * An object while it is made. Up to a part's size it is put in one request; a larger one is uploaded in parts, which
 * nobody sees until they are completed.
 */
export class S3File implements PendingFile {
  readonly #connection: S3Connection
  readonly #object: { Bucket: string; Key: string }
  readonly #hash = createHash('sha256')
  #size = 0
  #held: Buffer[] = []
  #heldBytes = 0
  #upload: Upload | undefined
  #digest = ''

  constructor(connection: S3Connection, bucket: string, key: string) {
    this.#connection = connection
    this.#object = { Bucket: bucket, Key: key }
  }

  async append(bytes: string | Uint8Array): Promise<void> {
    // A copy, for the caller may use its bytes again.
    const piece = Buffer.from(bytes as Uint8Array)
    this.#hash.update(piece)
    this.#size += piece.length
    this.#held.push(piece)
    this.#heldBytes += piece.length
    // The last part must not be empty, so a full one waits for what follows.
    while (this.#heldBytes > partBytes) await this.#uploadPart(this.#take(partBytes))
  }

  async seal(): Promise<void> {
    this.#digest = this.#hash.digest('hex')
    if (this.#upload !== undefined) await this.#uploadPart(this.#take(this.#heldBytes))
  }

  async putIfAbsent(): Promise<'put' | 'same' | 'other'> {
    const isProven = this.#connection.proven.has(this.#object.Bucket)
    // An endpoint that knows no conditions would overwrite what is there.
    const there = isProven && this.#upload === undefined ? undefined : await this.#compare()
    if (there !== undefined) return there
    for (let attempts = 1; ; attempts++) {
      try {
        await this.#finish({ IfNoneMatch: '*' })
        break
      } catch (error) {
        const taken = isTaken(error) ? await this.#compare() : undefined
        if (taken !== undefined) return taken
        if (!isConflict(error) || attempts >= attemptsMax) throw error
      }
      await sleep(2 ** attempts * 20 * Math.random())
    }
    if (!isProven) await this.#prove()
    return 'put'
  }

  async replace(): Promise<void> {
    try {
      await this.#finish({})
    } catch (error) {
      // The upload is gone when an earlier attempt was carried out and its answer lost.
      if (!isReason(error, 'NoSuchUpload') || (await this.#compare()) !== 'same') throw error
    }
  }

  async discard(): Promise<void> {
    const UploadId = this.#upload?.id
    this.#upload = undefined
    this.#held = []
    if (UploadId === undefined) return
    await this.#ask(({ client, sdk, options }) =>
      client.send(new sdk.AbortMultipartUploadCommand({ ...this.#object, UploadId }), options),
    ).catch(() => {})
  }

  /** Makes the object, if it is as the condition says. */
  async #finish(condition: { IfNoneMatch?: string }): Promise<void> {
    const upload = this.#upload
    await this.#ask(async ({ client, sdk, options }) => {
      if (upload === undefined) {
        const Body = Buffer.concat(this.#held)
        const put = new sdk.PutObjectCommand({ ...this.#object, ...condition, Body })
        await client.send(put, options)
      } else {
        const command = new sdk.CompleteMultipartUploadCommand({
          ...this.#object,
          ...condition,
          UploadId: upload.id,
          MultipartUpload: { Parts: upload.parts },
        })
        await client.send(command, options)
      }
    })
    this.#upload = undefined
  }

  /**
   * Sees once for each bucket that what is there is not overwritten, by putting an object that was just put again. A
   * larger object cannot be completed again, so a smaller one has to show it.
   */
  async #prove(): Promise<void> {
    if (this.#size > partBytes) return
    const { Bucket, Key } = this.#object
    try {
      await this.#finish({ IfNoneMatch: '*' })
    } catch (error) {
      if (!isConflict(error)) throw error
      this.#connection.proven.add(Bucket)
      return
    }
    throw new Problem(
      'location-not-allowed',
      `The store of s3://${Bucket}/${Key} cannot be used: it overwrites an object although it is told not to (If-None-Match).`,
    )
  }

  /** How the object that is there compares with what was written; undefined when there is none. */
  async #compare(): Promise<'same' | 'other' | undefined> {
    const { Bucket, Key } = this.#object
    const source = { bucket: Bucket, key: Key, range: undefined }
    const stream = await readS3Object(this.#connection, source)
    if (stream === undefined) return undefined
    const hash = createHash('sha256')
    let size = 0
    for await (const chunk of stream) {
      hash.update(chunk)
      size += chunk.length
      if (size > this.#size) return 'other'
    }
    return size === this.#size && hash.digest('hex') === this.#digest ? 'same' : 'other'
  }

  async #uploadPart(Body: Buffer): Promise<void> {
    this.#upload ??= await this.#beginUpload()
    const upload = this.#upload
    const PartNumber = upload.parts.length + 1
    const { ETag, ChecksumCRC32 } = await this.#ask(({ client, sdk, options }) => {
      const part = { ...this.#object, UploadId: upload.id, PartNumber, Body }
      return client.send(new sdk.UploadPartCommand(part), options)
    })
    upload.parts.push({ PartNumber, ETag, ChecksumCRC32 })
  }

  async #beginUpload(): Promise<Upload> {
    const { UploadId } = await this.#ask(({ client, sdk, options }) =>
      client.send(
        new sdk.CreateMultipartUploadCommand({ ...this.#object, ChecksumAlgorithm: 'CRC32' }),
        options,
      ),
    )
    if (UploadId === undefined) throw new Error('S3 began an upload without an id')
    return { id: UploadId, parts: [] }
  }

  /** The first bytes that are held, which are let go of. */
  #take(bytes: number): Buffer {
    const all = Buffer.concat(this.#held)
    this.#held = all.length > bytes ? [all.subarray(bytes)] : []
    this.#heldBytes = Math.max(0, all.length - bytes)
    return all.subarray(0, bytes)
  }

  #ask<Answer>(send: (call: S3Call) => Promise<Answer>): Promise<Answer> {
    const { Bucket, Key } = this.#object
    return this.#connection.ask(`Writing s3://${Bucket}/${Key}`, send)
  }
}

/** Whether an object may be there, by somebody else or by an attempt whose answer was lost. */
function isTaken(error: unknown): boolean {
  return isReason(error, 'PreconditionFailed') || isReason(error, 'NoSuchUpload')
}

/** Whether the condition was looked at and not met, or could not be decided. */
function isConflict(error: unknown): boolean {
  return isReason(error, 'PreconditionFailed') || isReason(error, 'ConditionalRequestConflict')
}

function isReason(error: unknown, reason: string): boolean {
  return error instanceof S3Error && error.reason === reason
}
