import type { Hash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { TextDecoder } from 'node:util'
import { Problem } from '../problems.ts'

/** A line of a body, with its number from 1. */
export interface Line {
  text: string
  number: number
}

/** How much of a body of lines is taken. */
export interface LineLimits {
  bytesMax: number
  lineBytesMax: number
}

const lineFeed = 0x0a

/** A body of lines that is read while it arrives. */
export class LinesBody {
  readonly #body: Readable
  readonly #hash: Hash
  readonly #limits: LineLimits

  /** `hash` is that of the request, up to its body. */
  constructor(body: Readable, hash: Hash, limits: LineLimits) {
    this.#body = body
    this.#hash = hash
    this.#limits = limits
  }

  /** The lines that are not empty, some at a time; can be read once. See `linesOf`. */
  lines(): AsyncGenerator<Line[]> {
    return linesOf(this.#arriving(), this.#limits)
  }

  /** The hash of the request, once its lines are read. */
  hash(): Hash {
    return this.#hash.copy()
  }

  async *#arriving(): AsyncGenerator<Buffer> {
    try {
      // Whoever stops reading must answer yet, so the connection stays open.
      for await (const chunk of this.#body.iterator({ destroyOnReturn: false })) {
        this.#hash.update(chunk)
        yield chunk
      }
    } catch (cause) {
      const detail = 'The connection ended in the middle of the body.'
      throw new Problem('invalid-request', detail, { cause })
    } finally {
      // What is not read must still be let pass, or the next request of the connection never comes.
      this.#body.resume()
    }
  }
}

/**
 * The lines of a body that are not empty, as they arrive, some at a time. Holds no more than a line and a chunk of
 * the body. Throws a problem for what is not UTF-8, or larger than the limits.
 */
export async function* linesOf(
  body: AsyncIterable<Buffer>,
  limits: LineLimits,
): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let held: Buffer[] = []
  let heldBytes = 0
  let bytes = 0
  let number = 1
  const take = (end: Buffer): Line[] => {
    const texts = decode(decoder, Buffer.concat([...held, end]), number).split('\n')
    held = []
    heldBytes = 0
    const first = number
    number += texts.length
    return texts.flatMap((text, index) =>
      text.trim() === '' ? [] : { text, number: first + index },
    )
  }
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > limits.bytesMax) throw bodyTooLarge(limits.bytesMax)
    const end = chunk.lastIndexOf(lineFeed)
    if (end !== -1) {
      const lines = take(chunk.subarray(0, end))
      if (lines.length > 0) yield lines
    }
    const rest = chunk.subarray(end + 1)
    held.push(rest)
    heldBytes += rest.length
    if (heldBytes > limits.lineBytesMax) throw lineTooLong(number, limits.lineBytesMax)
  }
  const lines = take(Buffer.alloc(0))
  if (lines.length > 0) yield lines
}

function decode(decoder: TextDecoder, bytes: Buffer, number: number): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new Problem('invalid-json', `The body is not UTF-8, from line ${number} on.`, { cause })
  }
}

/** The refusal of a body that is larger than is taken. */
export function bodyTooLarge(maxBytes: number): Problem {
  return new Problem('body-too-large', `The body has more than the ${maxBytes} bytes taken here.`, {
    facts: { maxBytes },
  })
}

function lineTooLong(line: number, maxBytes: number): Problem {
  const detail = `Line ${line} of the body has more than the ${maxBytes} bytes that a line may have.`
  return new Problem('body-too-large', detail, { facts: { line, maxBytes } })
}
