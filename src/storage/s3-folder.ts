import { Readable } from 'node:stream'
import {
  connectS3,
  type S3Call,
  type S3Connection,
  S3Error,
  type S3Settings,
} from './s3-connection.ts'
import { S3File } from './s3-file.ts'
import { resolveS3Location, type S3Location, showS3Location } from './s3-location.ts'
import { readS3Object } from './s3-read.ts'
import {
  type ByteRange,
  checkFileName,
  FileMissingError,
  type Folder,
  type ListOptions,
  type PendingFile,
  type Storage,
  type StoredFile,
} from './storage.ts'

/** Places in buckets below `roots`, of Amazon S3 or what speaks like it. */
export function createS3Storage(roots: readonly S3Location[], settings: S3Settings): Storage {
  const connection = connectS3(settings)
  const resolve = async (location: string) => resolveS3Location(location, roots)
  return {
    resolve: async (location) => showS3Location(await resolve(location)),
    open: async (location) => new S3Folder(connection, await resolve(location)),
  }
}

/** Objects that one request may remove. */
const removedMax = 1000

class S3Folder implements Folder {
  readonly location: string
  readonly #connection: S3Connection
  readonly #bucket: string
  /** What the keys of all files begin with. */
  readonly #prefix: string

  constructor(connection: S3Connection, location: S3Location) {
    this.location = showS3Location(location)
    this.#connection = connection
    this.#bucket = location.bucket
    this.#prefix = `${location.prefix}/`
  }

  async *list({ prefix = '', startAfter }: ListOptions = {}): AsyncGenerator<StoredFile> {
    checkFileName(`${prefix}…`)
    let token: string | undefined
    do {
      const request = {
        Bucket: this.#bucket,
        Prefix: this.#prefix + prefix,
        Delimiter: '/',
        StartAfter: startAfter === undefined ? undefined : this.#prefix + startAfter,
        ContinuationToken: token,
      }
      const page = await this.#ask('Listing', ({ client, sdk, options }) =>
        client.send(new sdk.ListObjectsV2Command(request), options),
      )
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        // Some tools put an object in the place of a folder.
        if (Key.endsWith('/')) continue
        const name = Key.slice(this.#prefix.length)
        yield { name, size: Size, modifiedAt: LastModified?.getTime() ?? 0 }
      }
      token = page.NextContinuationToken
    } while (token !== undefined)
  }

  async read(name: string, range?: ByteRange): Promise<Readable> {
    if (range !== undefined && range.start >= range.end) {
      if ((await this.size(name)) === undefined) throw new FileMissingError(this.location, name)
      return Readable.from([])
    }
    const source = { bucket: this.#bucket, key: this.#keyOf(name), range }
    const stream = await readS3Object(this.#connection, source)
    if (stream === undefined) throw new FileMissingError(this.location, name)
    return stream
  }

  async size(name: string): Promise<number | undefined> {
    const object = { Bucket: this.#bucket, Key: this.#keyOf(name) }
    try {
      const head = await this.#ask('Looking into', ({ client, sdk, options }) =>
        client.send(new sdk.HeadObjectCommand(object), options),
      )
      return head.ContentLength
    } catch (error) {
      if (error instanceof S3Error && error.answered === 404) return undefined
      throw error
    }
  }

  async begin(name: string): Promise<PendingFile> {
    return new S3File(this.#connection, this.#bucket, this.#keyOf(name))
  }

  async remove(names: readonly string[]): Promise<void> {
    const keys = names.map((name) => this.#keyOf(name))
    for (let at = 0; at < keys.length; at += removedMax) {
      const Objects = keys.slice(at, at + removedMax).map((Key) => ({ Key }))
      const request = { Bucket: this.#bucket, Delete: { Objects, Quiet: true } }
      const { Errors: errors = [] } = await this.#ask('Removing from', ({ client, sdk, options }) =>
        client.send(new sdk.DeleteObjectsCommand(request), options),
      )
      const [failed] = errors.filter(({ Code }) => Code !== 'NoSuchKey')
      if (failed !== undefined) {
        throw new S3Error(`Removing from ${this.location}`, { name: failed.Code })
      }
    }
  }

  /** What S3 has answered is kept. */
  async sync(): Promise<void> {}

  async sweep(wanted: (name: string) => boolean): Promise<void> {
    let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {}
    let isMore = true
    while (isMore) {
      const request = { Bucket: this.#bucket, Prefix: this.#prefix, ...marker }
      const page = await this.#ask('Listing uploads to', ({ client, sdk, options }) =>
        client.send(new sdk.ListMultipartUploadsCommand(request), options),
      )
      const uploads = page.Uploads ?? []
      const ours = uploads.filter(({ Key = '' }) => wanted(Key.slice(this.#prefix.length)))
      await Promise.all(ours.map(({ Key, UploadId }) => this.#abort(Key, UploadId)))
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      isMore = page.IsTruncated === true && uploads.length > 0
    }
  }

  async #abort(Key: string | undefined, UploadId: string | undefined): Promise<void> {
    try {
      await this.#ask('Ending an upload to', ({ client, sdk, options }) =>
        client.send(
          new sdk.AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId }),
          options,
        ),
      )
    } catch (error) {
      // Somebody was faster.
      if (!(error instanceof S3Error) || error.answered !== 404) throw error
    }
  }

  #keyOf(name: string): string {
    return this.#prefix + checkFileName(name)
  }

  #ask<Answer>(what: string, send: (call: S3Call) => Promise<Answer>): Promise<Answer> {
    return this.#connection.ask(`${what} ${this.location}`, send)
  }
}
