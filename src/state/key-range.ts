import type { KeyRange } from './read-queries.ts'

/** The keys that are asked for: those with the prefix, from `start` on, before `end`. */
export function keyRange({
  prefix = '',
  start = '',
  end,
}: {
  prefix?: string | undefined
  start?: string | undefined
  end?: string | undefined
}): Pick<KeyRange, 'from' | 'to'> {
  const ends = [end, behindPrefix(prefix)].filter((one) => one !== undefined)
  return {
    from: compareBytes(start, prefix) > 0 ? start : prefix,
    to: ends.toSorted(compareBytes)[0],
  }
}

/** The first text, by the bytes of UTF-8, behind all that begin with a prefix; undefined where there is none. */
function behindPrefix(prefix: string): string | undefined {
  const characters = [...prefix]
  for (let last = characters.pop(); last !== undefined; last = characters.pop()) {
    const next = (last.codePointAt(0) ?? 0) + 1
    // What lies between are halves of pairs, which no text of a key has.
    const code = next === 0xd800 ? 0xe000 : next
    if (code <= 0x10ffff) return characters.join('') + String.fromCodePoint(code)
  }
  return undefined
}

/** Orders texts as the database does keys. */
export function compareBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
