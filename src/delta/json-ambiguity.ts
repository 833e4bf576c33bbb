/** JSON texts that one reader reads in one way, and another differently or not at all (RFC 7493, "I-JSON"). */
import { surveyJson } from './json.ts'

/** How many members the objects in a value have in all, itself included. */
export function countMembers(value: unknown): number {
  let count = 0
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next !== 'object' || next === null) continue
    const values = Object.values(next)
    if (!Array.isArray(next)) count += values.length
    for (const inner of values) if (typeof inner === 'object') open.push(inner)
  }
  return count
}

function occurrences(text: string, part: string): number {
  let count = 0
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + 1)) count += 1
  return count
}

const spacedColon = /"\s+:/

/** Whether an object in a valid JSON text has a member twice; `value` is the text parsed. */
function repeatsMember(text: string, value: unknown): boolean {
  const known = countMembers(value)
  // Strings can hold `":` too, so this is never less than the members that there are.
  if (!spacedColon.test(text) && occurrences(text, '":') === known) return false
  return surveyJson(text).memberCount !== known
}

const escapedSurrogate = /\\u[dD][89a-fA-F]/

/** Whether a string or name in a valid JSON text holds half a surrogate pair; `value` is the text parsed. */
function holdsUnpairedSurrogate(text: string, value: unknown): boolean {
  if (text.isWellFormed() && !escapedSurrogate.test(text)) return false
  const open: unknown[] = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (typeof next === 'string' && !next.isWellFormed()) return true
    if (typeof next !== 'object' || next === null) continue
    for (const [name, inner] of Object.entries(next)) open.push(name, inner)
  }
  return false
}

/** Why readers may disagree about a valid JSON text, or undefined when they will not; `value` is the text parsed. */
export function jsonAmbiguity(text: string, value: unknown): string | undefined {
  if (repeatsMember(text, value)) return 'has the same member twice in an object; keep one of them'
  return holdsUnpairedSurrogate(text, value)
    ? 'holds half a surrogate pair (\\ud800 to \\udfff alone); leave it out'
    : undefined
}
