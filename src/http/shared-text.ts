import { promisify } from 'node:util'
import { constants, deflateRaw } from 'node:zlib'

/** A text compressed such that in a stream of `deflate` it may follow any other, and any other may follow it. */
export interface DeflatedText {
  bytes: Buffer
  /** Of the text. */
  checksum: number
}

/** Text that is sent to many readers: encoded once, and compressed once, when one first takes it compressed. */
export class SharedText {
  readonly plain: Buffer
  #deflated: Promise<DeflatedText> | undefined

  constructor(text: string) {
    this.plain = Buffer.from(text)
  }

  deflated(): Promise<DeflatedText> {
    this.#deflated ??= deflate(this.plain)
    return this.#deflated
  }
}

const compress = promisify(deflateRaw)
/** Ends at a whole byte, and is not the last block. */
const asPart = { level: constants.Z_BEST_SPEED, finishFlush: constants.Z_SYNC_FLUSH }

async function deflate(plain: Buffer): Promise<DeflatedText> {
  return { bytes: await compress(plain, asPart), checksum: adler32(plain) }
}

/** What begins a stream in the zlib format, which HTTP calls `deflate`. RFC 1950. */
export const deflateHead = Buffer.from([0x78, 0x01])
/** The checksum of no text. */
export const emptyChecksum = 1

/** What ends a stream whose texts have this checksum: an empty last block, then the checksum. */
export function deflateEnd(checksum: number): Buffer {
  const end = Buffer.from([0x03, 0x00, 0, 0, 0, 0])
  end.writeUInt32BE(checksum, 2)
  return end
}

const modulus = 65_521

/** The checksum of a text with another behind it, which has `length` bytes. */
export function joinChecksums(first: number, second: number, length: number): number {
  const [a, b] = [first & 0xffff, first >>> 16]
  const [c, d] = [second & 0xffff, second >>> 16]
  const low = (a + c + modulus - 1) % modulus
  const high = (b + d + length * (a + modulus - 1)) % modulus
  return high * 0x10000 + low
}

function adler32(bytes: Buffer): number {
  let low = 1
  let high = 0
  for (const byte of bytes) {
    low = (low + byte) % modulus
    high = (high + low) % modulus
  }
  return high * 0x10000 + low
}

/** Whether the reader of an answer takes it in `deflate`. RFC 9110, section 12.5.3. */
export function takesDeflate(acceptEncoding = ''): boolean {
  return acceptEncoding.split(',').some((choice) => {
    const [name, weight = ''] = choice.split(';').map((text) => text.trim().toLowerCase())
    return name === 'deflate' && !/^q=0(\.0*)?$/.test(weight)
  })
}
