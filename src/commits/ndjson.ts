import { compactJson, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import { parseJson } from '../http/json-reading.ts'
import type { Line } from '../http/lines.ts'
import type { Problem } from '../problems.ts'
import type { ActionSources, FieldSources } from './proposal.ts'

/** Some actions of a body of lines: their values, and the texts that they were read from. */
export interface ReadActions {
  values: unknown[]
  sources: ActionSources
}

/** The fields of a proposal that stand beside its actions: their values, and the JSON text of each. */
export interface Fields {
  values: Readonly<Record<string, unknown>>
  sources: FieldSources
}

/** Reads a body of one action a line, as its lines arrive. */
export interface LinesReader {
  /** The actions of the next lines. Throws a problem that names the line. */
  read: (lines: readonly Line[]) => ReadActions
  /** The fields, once the first line was read. */
  fields: () => Fields
}

/**
 * Makes a reader. The other fields of the proposal are those of `query`, or stand in a first line
 * `{"proposal": {…}}`.
 */
export function createLinesReader(query: Readonly<Record<string, unknown>>): LinesReader {
  let fields = queryFields(query)
  let count = 0

  return {
    fields: () => fields,
    read(lines) {
      const values: unknown[] = []
      const texts: string[] = []
      const numbers: number[] = []
      const first = count
      for (const { text: source, number: line } of lines) {
        const value = parseJson(source, line)
        if (typeof value === 'object' && value !== null && 'proposal' in value) {
          if (count > 0 || fields.sources.line !== undefined) throw lateProposal(line)
          fields = withProposal(fields, { value, source, line })
          continue
        }
        values.push(value)
        texts.push(compactJson(source))
        numbers.push(line)
        count += 1
      }
      return { values, sources: { texts, lines: numbers, first } }
    },
  }
}

function queryFields(values: Readonly<Record<string, unknown>>): Fields {
  const texts = Object.entries(values).map(
    ([name, value]) => [name, JSON.stringify(value)] as const,
  )
  return { values, sources: { members: new Map(texts) } }
}

/** The fields of the query and those of the line `{"proposal": {…}}`. Each may be given once. */
function withProposal(
  query: Fields,
  { value, source, line }: { value: { proposal?: unknown }; source: string; line: number },
): Fields {
  const refuse = (pointer: string, message: string) =>
    invalidRequest('body', [{ pointer, message, line }])
  const { proposal, ...others } = value
  if (Object.keys(others).length > 0) throw refuse('', 'must hold the proposal alone')
  if (typeof proposal !== 'object' || proposal === null || Array.isArray(proposal)) {
    throw refuse('/proposal', 'must be object')
  }
  const own = memberSources(memberSources(source).get('proposal') ?? '{}')
  if (own.has('actions')) throw refuse('/proposal/actions', 'stand in the lines that follow')
  const { members } = query.sources
  for (const name of own.keys()) {
    if (members.has(name)) throw refuse(`/proposal/${name}`, 'stands in the query already')
  }
  return {
    values: { ...query.values, ...proposal },
    sources: { members: new Map([...members, ...own]), line },
  }
}

function lateProposal(line: number): Problem {
  const message = 'must stand once, in the first line'
  return invalidRequest('body', [{ pointer: '/proposal', message, line }])
}
