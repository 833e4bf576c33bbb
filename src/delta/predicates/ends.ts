/** Ends of ranges of many files, in as little memory as their kind allows. */
import type { Value } from './possibilities.ts'

/** Texts one after the other; each ends where the next begins. Where there is none, `known` is 0. */
interface TextEnds {
  text: string
  begins: Uint32Array
  known: Uint8Array
}

/** Numbers with NaN for an end that is not known, texts, or values of any kind. */
export type Ends = Float64Array | TextEnds | readonly (Value | undefined)[]

function isTexts(ends: Ends): ends is TextEnds {
  return 'text' in ends
}

/** The end at a place; undefined where it is not known. */
export function endAt(ends: Ends, at: number): Value | undefined {
  if (ends instanceof Float64Array) {
    const end = ends[at]
    return Number.isNaN(end) ? undefined : end
  }
  if (!isTexts(ends)) return ends[at]
  return ends.known[at] ? ends.text.slice(ends.begins[at], ends.begins[at + 1]) : undefined
}

function packTexts(ends: readonly (Value | undefined)[]): TextEnds {
  const begins = new Uint32Array(ends.length + 1)
  for (const [at, end] of ends.entries()) {
    begins[at + 1] = (begins[at] ?? 0) + (typeof end === 'string' ? end.length : 0)
  }
  const known = Uint8Array.from(ends, (end) => (end === undefined ? 0 : 1))
  return { text: ends.join(''), begins, known }
}

/** Packs ends that are all of one family. */
export function packEnds(ends: readonly (Value | undefined)[]): Ends {
  const kinds = new Set(ends.map((end) => typeof end))
  kinds.delete('undefined')
  if (kinds.has('bigint')) return ends
  return kinds.has('string')
    ? packTexts(ends)
    : Float64Array.from(ends, (end) => (end === undefined ? NaN : Number(end)))
}

function lengthOf(ends: Ends): number {
  return isTexts(ends) ? ends.known.length : ends.length
}

/** The ends of two, one after the other. */
export function joinEnds(first: Ends, second: Ends): Ends {
  if (first instanceof Float64Array && second instanceof Float64Array) {
    return joinArrays(first, second)
  }
  const all = [first, second].flatMap((ends) =>
    Array.from({ length: lengthOf(ends) }, (_, at) => endAt(ends, at)),
  )
  return packEnds(all)
}

/** One array of the numbers of two. */
export function joinArrays<A extends Float64Array | Int32Array | Uint32Array | Uint8Array>(
  first: A,
  second: A,
): A {
  const make = first.constructor as new (length: number) => A
  const joined = new make(first.length + second.length)
  joined.set(first)
  joined.set(second, first.length)
  return joined
}

/** What V8 takes for a bigint and the place that points to it. */
const bigintBytes = 48
const isWide = /[^\0-\xff]/

/** About how much memory ends take. */
export function bytesOfEnds(ends: Ends): number {
  if (ends instanceof Float64Array) return ends.byteLength
  if (!isTexts(ends)) return ends.length * bigintBytes
  const { text, begins, known } = ends
  return text.length * (isWide.test(text) ? 2 : 1) + begins.byteLength + known.byteLength
}
