import { exceedsBytes, isStorableText } from '../delta/text.ts'
import { locationNotAllowed } from './location-problem.ts'

/** A place in a bucket: all objects whose keys begin with `prefix` and a slash. */
export interface S3Location {
  bucket: string
  /** Without slashes at its ends; empty for the whole bucket. */
  prefix: string
}

/** Keys have 1,024 bytes at most, of which the names of a table's files need some. */
const prefixBytesMax = 700

/** Whether a location is meant for S3. */
export function isS3Location(location: string): boolean {
  return /^s3a?:/i.test(location)
}

/**
 * Reads `s3://bucket/prefix`, or `s3a:` as Hadoop writes it. All after the bucket is the key as it is, with nothing
 * percent-encoded. Answers what is wrong as a sentence.
 */
export function parseS3Location(location: string): S3Location | string {
  const [, bucket = '', path = ''] = /^s3a?:\/\/([^/]*)(?:\/(.*))?$/is.exec(location) ?? []
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/i.test(bucket)) {
    return 'It must be s3://bucket/prefix, with a bucket of 3 to 63 letters, digits, dots and dashes.'
  }
  const prefix = path.replace(/\/$/, '')
  if (!isStorableText(prefix) || /\p{Cc}/u.test(prefix)) {
    return 'It must not contain control characters.'
  }
  if (exceedsBytes(prefix, prefixBytesMax)) {
    return `What follows the bucket is longer than ${prefixBytesMax} bytes.`
  }
  const isRight = prefix === '' || !prefix.split('/').some((part) => /^\.{0,2}$/.test(part))
  return isRight ? { bucket, prefix } : 'No part of it may be empty, "." or "..".'
}

/** Reads a location that a caller gave. Throws `location-not-allowed` when it lies below none of `roots`. */
export function resolveS3Location(location: string, roots: readonly S3Location[]): S3Location {
  const parsed = parseS3Location(location)
  if (typeof parsed === 'string') throw locationNotAllowed(parsed)
  if (roots.some((root) => isBelow(parsed, root))) return parsed
  throw locationNotAllowed(`${showS3Location(parsed)} lies below none of the allowed folders.`)
}

/** The one form in which a location is kept. */
export function showS3Location({ bucket, prefix }: S3Location): string {
  return `s3://${bucket}/${prefix}`
}

function isBelow(location: S3Location, root: S3Location): boolean {
  if (location.bucket !== root.bucket) return false
  return root.prefix === '' ? location.prefix !== '' : location.prefix.startsWith(`${root.prefix}/`)
}
