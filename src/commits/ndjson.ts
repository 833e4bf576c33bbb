import { compactJson, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import { parseJson } from '../http/json-reading.ts'
import type { Problem } from '../problems.ts'
import { type BodySources, tooManyActions } from './proposal.ts'

/** A body of one action a line, as the JSON body that says the same. */
export interface LinesBody {
  body: { actions: unknown[] }
  sources: BodySources
}

/** The fields of a proposal that stand beside its actions: their values, and the JSON text of each. */
interface Fields {
  values: Readonly<Record<string, unknown>>
  sources: ReadonlyMap<string, string>
  line?: number
}

/**
 * Reads a body of one action a line; empty lines are passed over. The other fields of the proposal are those of
 * `fields`, or stand in a first line `{"proposal": {…}}`. Throws a problem that names the line.
 */
export function readLines(
  text: string,
  { fields, actionsMax }: { fields: Readonly<Record<string, unknown>>; actionsMax: number },
): LinesBody {
  const actions: unknown[] = []
  const actionSources: string[] = []
  const lines: number[] = []
  let proposal: Fields = queryFields(fields)
  for (const { source, line } of linesOf(text)) {
    const value = parseJson(source, line)
    if (typeof value === 'object' && value !== null && 'proposal' in value) {
      if (actions.length > 0 || proposal.line !== undefined) throw lateProposal(line)
      proposal = withProposal(proposal, { value, source, line })
      continue
    }
    if (actions.length === actionsMax) throw tooManyActions('more actions', actionsMax)
    actions.push(value)
    actionSources.push(compactJson(source))
    lines.push(line)
  }
  return {
    body: { ...proposal.values, actions },
    sources: {
      members: proposal.sources,
      actions: actionSources,
      lines: { proposal: proposal.line ?? 1, actions: lines },
    },
  }
}

/** The lines that are not empty, counted from 1, one at a time: there may be very many. */
function* linesOf(text: string): Generator<{ source: string; line: number }> {
  let line = 1
  for (let start = 0; start < text.length; line++) {
    const end = text.indexOf('\n', start)
    const source = end === -1 ? text.slice(start) : text.slice(start, end)
    if (source.trim() !== '') yield { source, line }
    start += source.length + 1
  }
}

function queryFields(values: Readonly<Record<string, unknown>>): Fields {
  const texts = Object.entries(values).map(
    ([name, value]) => [name, JSON.stringify(value)] as const,
  )
  return { values, sources: new Map(texts) }
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
  for (const name of own.keys()) {
    if (query.sources.has(name)) throw refuse(`/proposal/${name}`, 'stands in the query already')
  }
  return {
    values: { ...query.values, ...proposal },
    sources: new Map([...query.sources, ...own]),
    line,
  }
}

function lateProposal(line: number): Problem {
  const message = 'must stand once, in the first line'
  return invalidRequest('body', [{ pointer: '/proposal', message, line }])
}
