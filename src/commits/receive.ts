import type { Fault } from '../delta/faults.ts'
import { elementSources, memberSources } from '../delta/json.ts'
import { invalidRequest } from '../http/faults.ts'
import type { LinesBody } from '../http/lines.ts'
import { createLinesReader, type Fields } from './ndjson.ts'
import { type ActionSources, inActions, inFields, toActions, toProposal } from './proposal.ts'
import type { CreateCommit } from './schema.ts'
import type { Intake } from './staged/intake.ts'
import type { Proposal } from './unit.ts'

/** Makes a proposal of a JSON body of the right shape, which was read from `text`. */
export async function receiveJson(
  { actions: values, ...fields }: CreateCommit,
  text: string,
  intake: Intake,
): Promise<Proposal> {
  const members = memberSources(text)
  const texts = elementSources(members.get('actions') ?? '[]')
  await intake.take(toActions(values, { texts, first: 0 }))
  return toProposal(fields, { members }, await intake.finish())
}

/** How a body of lines is read: the fields in its query, and what finds the faults in a shape. */
export interface LinesOptions {
  query: Readonly<Record<string, unknown>>
  findFaults: (body: object) => Fault[]
}

/** Makes a proposal of a body of lines while it arrives. Throws a problem that names the line. */
export async function receiveLines(
  body: LinesBody,
  options: LinesOptions,
  intake: Intake,
): Promise<Proposal> {
  const { values, sources } = await takeLines(body, options, intake)
  return toProposal(values as Omit<CreateCommit, 'actions'>, sources, await intake.finish())
}

/** Hands on the actions of a body of lines while it arrives; answers what else it says. */
export async function takeLines(
  body: LinesBody,
  { query, findFaults }: LinesOptions,
  { take }: Pick<Intake, 'take'>,
): Promise<Fields> {
  const reader = createLinesReader(query)
  let isFirst = true
  for await (const lines of body.lines()) {
    const { values, sources } = reader.read(lines)
    const fields = reader.fields()
    const faults = findFaults({ ...(isFirst ? fields.values : {}), actions: values })
    if (faults.length > 0) throw invalidLines(faults, fields.sources, sources)
    await take(toActions(values, sources))
    isFirst = false
  }
  if (isFirst) throw invalidRequest('body', [{ pointer: '', message: 'is missing; send one' }])
  return reader.fields()
}

function invalidLines(faults: readonly Fault[], fields: { line?: number }, actions: ActionSources) {
  return invalidRequest(
    'body',
    faults.map((fault) =>
      fault.pointer.startsWith('/actions/') ? inActions(fault, actions) : inFields(fault, fields),
    ),
  )
}
