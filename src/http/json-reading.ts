import { pointerSegment } from '../delta/faults.ts'
import { Problem } from '../problems.ts'
import { invalidRequest } from './faults.ts'

/** How deep a body may nest. The schema of a table takes three levels for each of its hundred. */
const depthMax = 400
/** Values beyond this many take more memory than the bytes of a body tell. */
const valuesMax = 4_000_000

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const leftBracket = 0x5b
const backslash = 0x5c
const rightBracket = 0x5d
const leftBrace = 0x7b
const rightBrace = 0x7d

/** An escape that can be half of a pair. */
const surrogateEscape = /\\u[dD][89a-fA-F]/

/**
 * Reads a JSON text of a caller's as every other reader will: it is I-JSON (RFC 7493), so no object has the same
 * member twice and no text an unpaired surrogate. Throws `invalid-json` that says where reading stopped, or
 * `invalid-request` that names the place. `line` is where the text stands in a body of lines, from 1.
 */
export function parseJson(text: string, line?: number): unknown {
  const memberCount = refuseTooMuch(text, line)
  const value = parse(text, line)
  if (countMembers(value) !== memberCount) {
    throw unfit(findRepeatedMember(text), 'repeats a member of its object; keep one', line)
  }
  if (!surrogateEscape.test(text)) return value
  const pointer = findMalformedText(value, '')
  if (pointer === undefined) return value
  throw unfit(pointer, 'holds an unpaired surrogate; write whole characters', line)
}

function unfit(pointer: string, message: string, line: number | undefined): Problem {
  return invalidRequest('body', [{ pointer, message, ...(line !== undefined && { line }) }])
}

/** Refuses a text that would take too much to read, whether JSON or not; answers how many members it has. */
export function refuseTooMuch(text: string, line?: number): number {
  const { depth, values, members } = surveyText(text)
  if (depth > depthMax) throw unfit('', `nests deeper than ${depthMax} values; flatten it`, line)
  if (values > valuesMax) {
    throw new Problem(
      'body-too-large',
      `The body has more than ${valuesMax} values. Split it into several requests.`,
      { facts: { maxValues: valuesMax } },
    )
  }
  return members
}

function parse(text: string, line: number | undefined): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const place = line === undefined ? 'The body' : `Line ${line} of the body`
    const reason = (error as SyntaxError).message.slice(0, 200).toWellFormed()
    throw new Problem('invalid-json', `${place} is not JSON: ${reason}.`, {
      facts: line === undefined ? {} : { line },
    })
  }
}

/** Scans a text once. The values are counted by what stands before each, the members by what stands within. */
function surveyText(text: string): { depth: number; values: number; members: number } {
  let open = 0
  let depth = 0
  let values = 1
  let members = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at)
        break
      case leftBrace:
      case leftBracket:
        values++
        depth = Math.max(depth, ++open)
        break
      case rightBrace:
      case rightBracket:
        open--
        break
      case comma:
        values++
        break
      case colon:
        members++
    }
  }
  return { depth, values, members }
}

/** The place of the quote that ends the string which opens at `open`; the end of the text when none does. */
function endOfString(text: string, open: number): number {
  let close = text.indexOf('"', open + 1)
  while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1)
  return close === -1 ? text.length : close
}

function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === backslash) before--
  return (at - before) % 2 === 0
}

/** Members of all objects in a JSON value. Such a value inherits none that `for` would meet. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const inner of value) count += countMembers(inner)
  } else {
    for (const name in value) count += 1 + countMembers((value as Record<string, unknown>)[name])
  }
  return count
}

/** A container while it is read: the names of an object so far, and the step to what is being read in it. */
interface OpenContainer {
  names: Set<string>
  step: string | number
}

/** The pointer of a member that has the name of one before it, in a JSON text that has such a member. */
function findRepeatedMember(text: string): string {
  const open: OpenContainer[] = []
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    const inner = open.at(-1)
    if (code === leftBrace) open.push({ names: new Set(), step: '' })
    else if (code === leftBracket) open.push({ names: new Set(), step: 0 })
    else if (code === rightBrace || code === rightBracket) open.pop()
    else if (code === comma && typeof inner?.step === 'number') inner.step++
    else if (code === quote) {
      const end = endOfString(text, at)
      if (inner !== undefined && isRepeated(memberName(text, at, end), inner)) break
      at = end
    }
  }
  return open.map(({ step }) => pointerSegment(step)).join('')
}

/** Notes the name of a member, if it is one, and tells whether it was there before. */
function isRepeated(name: string | undefined, object: OpenContainer): boolean {
  if (name === undefined) return false
  object.step = name
  if (object.names.has(name)) return true
  object.names.add(name)
  return false
}

/** The string between two quotes when it is the name of a member: then a colon follows. */
function memberName(text: string, open: number, close: number): string | undefined {
  let next = close + 1
  while (text.charCodeAt(next) <= 0x20) next++
  return text.charCodeAt(next) === colon ? JSON.parse(text.slice(open, close + 1)) : undefined
}

/** The pointer of a text that holds an unpaired surrogate, or of the object that has one as a name. */
function findMalformedText(value: unknown, pointer: string): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : pointer
  if (typeof value !== 'object' || value === null) return undefined
  for (const [name, inner] of Object.entries(value)) {
    if (!name.isWellFormed()) return pointer
    const found = findMalformedText(inner, pointer + pointerSegment(name))
    if (found !== undefined) return found
  }
  return undefined
}
