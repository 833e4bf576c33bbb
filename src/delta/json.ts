/**
 * JSON texts, kept exactly as they were written.
 *
 * A commit is published with the tokens that its writer chose: `1.0` stays `1.0`, escapes, the order of
 * members and integers beyond 2^53 survive. Nothing here recurses on its input.
 */

import type { Action, Exact, Long } from './actions.ts'

/** How deep a JSON text may nest before it is refused. Deeper texts break recursive readers. */
export const jsonDepthMax = 100

/** Digits that a double holds for every integer. */
const exactDigits = 15
/** Beyond this a number is no long of any kind, and making a bigint of it would take seconds. */
const bigintDigitsMax = 1000
const manyDigits = /\d{16}/
const integer = /^-?\d+$/
const whiteSpace = /[ \t\n\r]/

const tab = 0x09
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const quote = 0x22
const comma = 0x2c
const dot = 0x2e
const zero = 0x30
const nine = 0x39
const colon = 0x3a
const leftBracket = 0x5b
const backslash = 0x5c
const rightBracket = 0x5d
const letterE = 0x65
const leftBrace = 0x7b
const rightBrace = 0x7d
/** Makes a brace of a bracket and a small letter of a capital. */
const fold = 0x20

interface Cursor {
  text: string
  at: number
}

function isWhiteSpace(code: number): boolean {
  return code === space || code === lineFeed || code === carriageReturn || code === tab
}

function skipWhiteSpace(text: string, from: number): number {
  let at = from
  while (isWhiteSpace(text.charCodeAt(at))) at++
  return at
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === backslash) before--
  return (at - before) % 2 === 0
}

/** The place behind a string that opens at `open`; the end of the text when it never closes. */
function endOfString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1)
  while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1)
  return close === -1 ? text.length : close + 1
}

function endsScalar(code: number): boolean {
  return code === comma || (code | fold) === rightBrace || isWhiteSpace(code)
}

function endOfScalar(text: string, from: number): number {
  let at = from
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at++
  return at
}

/** Reads the container at the cursor and leaves the cursor behind it. */
function readContainer(cursor: Cursor): string {
  const { text } = cursor
  let compact = ''
  let kept = cursor.at
  let at = cursor.at
  let depth = 0
  do {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfString(text, at)
    } else if (isWhiteSpace(code)) {
      compact += text.slice(kept, at)
      at = skipWhiteSpace(text, at)
      kept = at
    } else {
      if ((code | fold) === leftBrace) depth++
      else if ((code | fold) === rightBrace) depth--
      at++
    }
  } while (depth > 0 && at < text.length)
  cursor.at = at
  return compact + text.slice(kept, at)
}

/** Reads the value at the cursor, compacted, and leaves the cursor behind it. */
function readValue(cursor: Cursor): string {
  const { text, at } = cursor
  const code = text.charCodeAt(at)
  if ((code | fold) === leftBrace) return readContainer(cursor)
  cursor.at = code === quote ? endOfString(text, at) : endOfScalar(text, at)
  return text.slice(at, cursor.at)
}

/** Leaves the cursor at the next token, over white space and at most one separator. */
function skipSeparator(cursor: Cursor, separator: number): void {
  cursor.at = skipWhiteSpace(cursor.text, cursor.at)
  if (cursor.text.charCodeAt(cursor.at) !== separator) return
  cursor.at = skipWhiteSpace(cursor.text, cursor.at + 1)
}

function readMemberName(cursor: Cursor): string {
  const source = readValue(cursor)
  skipSeparator(cursor, colon)
  return source.includes('\\') ? JSON.parse(source) : source.slice(1, -1)
}

function readElements(cursor: Cursor): string[] {
  const elements: string[] = []
  skipSeparator(cursor, leftBracket)
  while (cursor.at < cursor.text.length && cursor.text.charCodeAt(cursor.at) !== rightBracket) {
    elements.push(readValue(cursor))
    skipSeparator(cursor, comma)
  }
  cursor.at++
  return elements
}

/**
 * The source text of each member of an object by its name; of a repeated member the last, as in
 * `JSON.parse`. The text must be valid and hold an object. White space between tokens is left out.
 */
export function memberSources(text: string): Map<string, string> {
  const cursor: Cursor = { text, at: skipWhiteSpace(text, 0) }
  const members = new Map<string, string>()
  skipSeparator(cursor, leftBrace)
  while (text.charCodeAt(cursor.at) === quote) {
    const name = readMemberName(cursor)
    members.set(name, readValue(cursor))
    skipSeparator(cursor, comma)
  }
  return members
}

/**
 * Where the value of each member of an object begins in its text, from 0, by the member's name. The text must be
 * valid, without white space, and hold an object.
 */
export function memberPlaces(text: string): Map<string, number> {
  const cursor: Cursor = { text, at: 1 }
  const places = new Map<string, number>()
  while (text.charCodeAt(cursor.at) === quote) {
    const name = readMemberName(cursor)
    places.set(name, cursor.at)
    readValue(cursor)
    skipSeparator(cursor, comma)
  }
  return places
}

/**
 * The text of an object with members set to these source texts: in the place of their values where it has them,
 * else behind its last. The text must be valid, without white space, and hold an object; else it stays as it is.
 */
export function setMembers(text: string, members: ReadonlyMap<string, string>): string {
  const cursor: Cursor = { text, at: 1 }
  const missing = new Map(members)
  let changed = ''
  let kept = 0
  while (text.charCodeAt(cursor.at) === quote) {
    const name = readMemberName(cursor)
    const start = cursor.at
    readValue(cursor)
    const source = missing.get(name)
    if (source !== undefined) {
      changed += text.slice(kept, start) + source
      kept = cursor.at
      missing.delete(name)
    }
    skipSeparator(cursor, comma)
  }
  const added = [...missing].map(([name, source]) => `${JSON.stringify(name)}:${source}`)
  const isEmpty = text.charCodeAt(1) === rightBrace
  const separator = isEmpty || added.length === 0 ? '' : ','
  return `${changed}${text.slice(kept, -1)}${separator}${added.join(',')}}`
}

/** The source text of each element of an array. The text must be valid and hold an array. */
export function elementSources(text: string): string[] {
  return readElements({ text, at: skipWhiteSpace(text, 0) })
}

/** A valid JSON text without the white space between its tokens; the same string when there is none. */
export function compactJson(text: string): string {
  return whiteSpace.test(text) ? readValue({ text, at: skipWhiteSpace(text, 0) }) : text
}

/**
 * Whether a text, valid JSON or not, nests deeper than `limit` containers. Answers as soon as it does, so
 * ask before anything recursive reads the text.
 */
export function nestsTooDeep(text: string, limit = jsonDepthMax): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) at = endOfString(text, at) - 1
    else if ((code | fold) === rightBrace) depth--
    else if ((code | fold) === leftBrace && ++depth > limit) return true
  }
  return false
}

/** What a scan of a JSON text tells without parsing it. */
export interface JsonSurvey {
  /** Members of all its objects, repeated ones included. */
  memberCount: number
  /** Whether every number is an integer in digits alone, few enough for `JSON.parse` to read it exactly. */
  hasPlainNumbers: boolean
}

/** Scans a valid JSON text once. */
export function surveyJson(text: string): JsonSurvey {
  let memberCount = 0
  let hasPlainNumbers = true
  let digits = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code >= zero && code <= nine) {
      if (++digits > exactDigits) hasPlainNumbers = false
      continue
    }
    if (digits > 0 && (code === dot || (code | fold) === letterE)) hasPlainNumbers = false
    digits = 0
    if (code === quote) at = endOfString(text, at) - 1
    else if (code === colon) memberCount++
  }
  return { memberCount, hasPlainNumbers }
}

/** What a reviver is told of a primitive: its text in the source. */
export interface ReviverContext {
  source?: string
}

/** Whether a number was written as an integer in digits alone, without fraction or exponent. */
export function isIntegerSource(source: string | undefined): source is string {
  return source !== undefined && integer.test(source)
}

/** The value of integer digits: a number when it is exact as one, or absurdly long; else a bigint. */
export function exactInteger(digits: string): Long {
  const value = Number(digits)
  return Number.isSafeInteger(value) || digits.length > bigintDigitsMax ? value : BigInt(digits)
}

function reviveExact(_key: string, value: unknown, context?: ReviverContext): unknown {
  return typeof value === 'number' && isIntegerSource(context?.source)
    ? exactInteger(context.source)
    : value
}

/**
 * `JSON.parse`, but an integer beyond ±(2^53 - 1) becomes a bigint instead of being rounded. Numbers
 * with a fraction, an exponent or more than 1,000 digits stay numbers. Throws as `JSON.parse` does;
 * bound the depth first.
 */
export function parseExact(text: string): unknown {
  return manyDigits.test(text) ? JSON.parse(text, reviveExact) : JSON.parse(text)
}

/** The body of an action with its longs exact. */
export function exactBody<A extends Action>(action: A): Exact<A['body']> {
  if (!manyDigits.test(action.json)) return action.body as Exact<A['body']>
  const [body] = Object.values(parseExact(action.json) as Record<string, Exact<A['body']>>)
  return body as Exact<A['body']>
}

/** The body of an action from its log line: `{"protocol":{…}}` → `{…}`. */
export function actionBody(line: string): string {
  return line.slice(line.indexOf(':') + 1, -1)
}
