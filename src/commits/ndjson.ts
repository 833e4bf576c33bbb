import { compactJson, memberSources } from '../delta/json.ts'
import { Problem } from '../problems.ts'
import type { BodySources } from './proposal.ts'

/** A body of one action a line, as the JSON body that says the same. */
export interface LinesBody {
  body: { actions: unknown[] }
  sources: BodySources
  /** The line, from 1, that the action of this index stands in. */
  lines: readonly number[]
}

/**
 * Reads a body of one action a line; empty lines are passed over. The other fields of the proposal are those of
 * `fields`, or stand in a first line `{"proposal": {…}}`. Throws `invalid-json` that names the line.
 */
export function readLines(text: string, fields: Readonly<Record<string, unknown>>): LinesBody {
  const actions: { value: unknown; source: string; line: number }[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() !== '') actions.push(readLine(line, index + 1))
  }
  const members = new Map(
    Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)]),
  )
  let proposal = fields
  const first = actions[0]
  if (first !== undefined && isProposal(first.value)) {
    proposal = { ...fields, ...first.value.proposal }
    const own = memberSources(memberSources(first.source).get('proposal') ?? '{}')
    for (const [name, source] of own) members.set(name, source)
    actions.shift()
  }
  return {
    body: { ...proposal, actions: actions.map(({ value }) => value) },
    sources: { members, actions: actions.map(({ source }) => source) },
    lines: actions.map(({ line }) => line),
  }
}

function readLine(text: string, line: number) {
  try {
    return { value: JSON.parse(text) as unknown, source: compactJson(text), line }
  } catch (error) {
    const reason = (error as Error).message.slice(0, 200)
    throw new Problem('invalid-json', `Line ${line} of the body is not JSON: ${reason}.`, {
      facts: { line },
    })
  }
}

function isProposal(value: unknown): value is { proposal: object } {
  if (typeof value !== 'object' || value === null || !('proposal' in value)) return false
  return typeof value.proposal === 'object' && value.proposal !== null
}
