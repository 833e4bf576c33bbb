import type { FieldSources } from '../../commits/proposal.ts'
import { toActions, toProposal } from '../../commits/proposal.ts'
import { type LinesOptions, takeLines } from '../../commits/receive.ts'
import type { CreateCommit } from '../../commits/schema.ts'
import type { Fault } from '../../delta/faults.ts'
import { elementSources, memberSources } from '../../delta/json.ts'
import { invalidRequest } from '../../http/faults.ts'
import { objectText } from '../../http/json-text.ts'
import type { LinesBody } from '../../http/lines.ts'
import { Problem } from '../../problems.ts'
import type { TableEntry } from '../entries.ts'
import type { Chunk } from './chunk.ts'
import type { StagedChange } from './table-queries.ts'

/** What a request stages, but for the table that it is for. */
export type Received = Omit<StagedChange, 'tableId'>

/** A proposal in JSON of the right shape, which was read from `text`. */
async function receiveProposal(
  { actions = [], ...values }: Partial<CreateCommit>,
  text: string,
  chunk: Chunk,
): Promise<Received> {
  const members = memberSources(text)
  const texts = elementSources(members.get('actions') ?? '[]')
  await chunk.take(toActions(actions, { texts, first: 0 }))
  const fields = fieldsText(values, { members })
  return { fields, chunk: await chunk.finish() }
}

/** That a table is to be dropped, or brought back. */
async function receiveChange(kind: 'drop' | 'undrop', chunk: Chunk): Promise<Received> {
  return { fields: objectText({ [kind]: 'true' }), chunk: await chunk.finish() }
}

/** What is said of a table, as the kind of entry that it is; `text` is its JSON. */
export function receiveEntry(entry: TableEntry, text: string, chunk: Chunk): Promise<Received> {
  return 'proposed' in entry
    ? receiveProposal(entry.proposed, text, chunk)
    : receiveChange(entry.kind, chunk)
}

/** A proposal in lines, taken while they arrive. Throws a problem that names the line. */
export async function receiveProposalLines(
  body: LinesBody,
  options: LinesOptions,
  chunk: Chunk,
): Promise<Received> {
  const { values, sources } = await takeLines(body, options, chunk)
  return { fields: fieldsText(values, sources), chunk: await chunk.finish() }
}

/** The fields of a proposal as they are kept. Throws for those that could not be committed with. */
function fieldsText(values: object, sources: FieldSources): string {
  toProposal(values, sources, { actions: [] })
  const members = [...sources.members].filter(([name]) => name !== 'actions' && name !== 'table')
  return objectText(Object.fromEntries(members))
}

/** An array of actions of the right shape, which was read from `text`. */
export async function receiveActions(
  values: readonly unknown[],
  text: string,
  chunk: Chunk,
): Promise<Received> {
  await chunk.take(inArray(() => toActions(values, { texts: elementSources(text), first: 0 })))
  return { fields: undefined, chunk: await chunk.finish() }
}

/** Faults of `actions` are told as those of the array that is the body. */
function inArray<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const errors = error instanceof Problem ? (error.facts['errors'] as Fault[] | undefined) : []
    if (errors === undefined || errors.length === 0) throw error
    throw invalidRequest(
      'body',
      errors.map((fault) => ({ ...fault, pointer: fault.pointer.replace('/actions', '') })),
    )
  }
}

/** Actions in lines, taken while they arrive. Throws a problem that names the line. */
export async function receiveActionLines(
  body: LinesBody,
  { findFaults }: Pick<LinesOptions, 'findFaults'>,
  chunk: Chunk,
): Promise<Received> {
  const { sources } = await takeLines(body, { query: {}, findFaults }, chunk)
  if (sources.line !== undefined) {
    const message = 'is not taken with more actions; put it to the table'
    throw invalidRequest('body', [{ pointer: '/proposal', message, line: sources.line }])
  }
  return { fields: undefined, chunk: await chunk.finish() }
}
