/** Strings, binary and booleans in literals, partition values and statistics. */
import { anyValue, exactly, type Range, range } from './possibilities.ts'
import type { ValueType } from './value-type.ts'

/** Code units that UTF-16 does not order as their code points: surrogates, and all that follow. */
const misplaced = /[\ud800-\uffff]/g
/** What a writer leaves of a character that it cuts between its bytes or halves, and all that it adds. */
const brokenEnd = /[\ufffd\ud800-\udfff].*$/su
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const asciiMax = 0x7f
const unitMax = '\uffff'

/**
 * A text that `<` orders by code point, which is also the order of UTF-8 bytes: surrogates are moved behind
 * the other units.
 */
function orderKey(text: string): string {
  return text.replace(misplaced, (unit) => {
    const code = unit.charCodeAt(0)
    return String.fromCharCode(code >= 0xe000 ? code - 0x800 : code + 0x2000)
  })
}

/** The least key that is greater than every key that begins with this one; undefined when there is none. */
function afterPrefix(key: string): string | undefined {
  let end = key.length
  while (end > 0 && key[end - 1] === unitMax) end--
  return end === 0
    ? undefined
    : key.slice(0, end - 1) + String.fromCharCode(key.charCodeAt(end - 1) + 1)
}

/**
 * Statistics hold the first characters of long strings (PROTOCOL.md, "Per-file Statistics"). Not every
 * writer makes up for that in a maximum, so the strings that begin with it count as below it.
 */
function cutBound(written: string): Range {
  const key = orderKey(written.replace(brokenEnd, ''))
  return { kind: 'range', low: key, high: afterPrefix(key), isOpen: true }
}

/** `string`, compared by its UTF-8 bytes. */
export const stringType: ValueType = {
  family: 'string',
  example: 'text without NUL characters and unpaired surrogates',
  literal: (text) => exactly(orderKey(text)),
  partition: (text) => exactly(orderKey(text)),
  bound: (written) => (typeof written === 'string' ? cutBound(written) : undefined),
}

/** A string whose readers do not compare it by its bytes, so that its values exclude nothing. */
export const looseStringType: ValueType = {
  ...stringType,
  partition: () => anyValue,
  bound: () => undefined,
}

/** Whether a partition value can be only one sequence of bytes, however its writer escapes them. */
function isPlainBinary(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > asciiMax || text[at] === '\\') return false
  }
  return true
}

/** `binary`; its keys have one character for each byte. Writers do not agree on its bounds. */
export const binaryType: ValueType = {
  family: 'binary',
  example: 'base64 with its padding',
  literal: (text) => (base64.test(text) ? exactly(atob(text)) : undefined),
  partition: (text) => (isPlainBinary(text) ? exactly(text) : anyValue),
  bound: () => undefined,
}

const booleans: Readonly<Record<string, 0 | 1>> = { false: 0, true: 1 }

function booleanValue(text: string) {
  const value = Object.hasOwn(booleans, text) ? booleans[text] : undefined
  return value === undefined ? undefined : exactly(value)
}

/** `boolean`; false comes before true. */
export const booleanType: ValueType = {
  family: 'boolean',
  example: 'true or false',
  literal: booleanValue,
  partition: booleanValue,
  bound: (written) =>
    typeof written === 'boolean' ? range(Number(written), Number(written)) : undefined,
}
