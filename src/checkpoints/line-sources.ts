const lineFeed = 0x0a

/** Lines of text, each with its line feed, as bytes. */
export function* linesOf(actions: readonly object[]): Generator<Uint8Array> {
  yield Buffer.from(actions.map((action) => `${JSON.stringify(action)}\n`).join(''))
}

/** All bytes of several sources, one after the other. Each is begun when the one before has ended. */
export async function* inTurn(
  ...sources: (() => AsyncIterable<Uint8Array> | Iterable<Uint8Array>)[]
): AsyncGenerator<Uint8Array> {
  for (const source of sources) yield* source()
}

/** The same bytes in blocks of this size or more, but for the last. */
export async function* inBlocks(
  source: AsyncIterable<Uint8Array>,
  bytesMin: number,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let bytes = 0
  for await (const piece of source) {
    held.push(piece)
    bytes += piece.length
    if (bytes < bytesMin) continue
    yield Buffer.concat(held)
    held = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(held)
}

/** The place behind the `count`-th line feed, or how many there are. */
function findLine(bytes: Uint8Array, count: number): { end: number } | { found: number } {
  let found = 0
  for (let at = bytes.indexOf(lineFeed); at !== -1; at = bytes.indexOf(lineFeed, at + 1)) {
    found += 1
    if (found === count) return { end: at + 1 }
  }
  return { found }
}

/** Divides a source of lines into parts of so many lines each; the last may have fewer. Each must be read to its end. */
export async function* inParts(
  source: AsyncIterable<Uint8Array>,
  linesMax: number,
): AsyncGenerator<AsyncIterable<Uint8Array>> {
  const iterator = source[Symbol.asyncIterator]()
  let rest: Uint8Array | undefined
  let hasEnded = false

  async function* part(): AsyncGenerator<Uint8Array> {
    let missing = linesMax
    while (rest !== undefined) {
      const place = findLine(rest, missing)
      if ('end' in place) {
        yield rest.subarray(0, place.end)
        rest = place.end < rest.length ? rest.subarray(place.end) : await next()
        return
      }
      missing -= place.found
      yield rest
      rest = await next()
    }
  }

  async function next(): Promise<Uint8Array | undefined> {
    const { value, done } = await iterator.next()
    hasEnded = done === true
    return done ? undefined : value
  }

  try {
    rest = await next()
    while (rest !== undefined) yield part()
  } finally {
    if (!hasEnded) await iterator.return?.()
  }
}
