import type { Fault } from '../../delta/faults.ts'
import { invalidRequest } from '../../http/faults.ts'
import { parseJson } from '../../http/json-reading.ts'
import type { Line, LinesBody } from '../../http/lines.ts'
import { Problem } from '../../problems.ts'
import { type StateLimits, toPut } from '../receive-operations.ts'
import type { ImportedEntry } from './schema.ts'
import type { EntryStage, StagedEntry } from './stage.ts'

/** How lines are read: what finds the faults in the shape of one, and how large a value may be. */
export interface LineReading extends StateLimits {
  findFaults: (value: object) => Fault[]
}

/** Puts the entries of a body aside while it arrives. Throws a problem that names the line. */
export async function receiveLines(
  body: LinesBody,
  stage: Pick<EntryStage, 'write' | 'flush' | 'count'>,
  reading: LineReading,
): Promise<void> {
  for await (const lines of body.lines()) {
    await stage.write(lines.map((line) => receiveLine(line, reading)))
  }
  if (stage.count() === 0) throw invalidRequest('body', [{ pointer: '', message: emptyBody }])
  await stage.flush()
}

const emptyBody = 'is empty; send one entry a line'

function receiveLine({ text, number: line }: Line, reading: LineReading): StagedEntry {
  const value = parseJson(text, line)
  const faults = reading.findFaults(value as object)
  if (faults.length > 0) {
    throw invalidRequest(
      'body',
      faults.map((fault) => ({ ...fault, line })),
    )
  }
  const { key, ...fields } = value as ImportedEntry
  try {
    return { line, put: toPut(key, { fields: fields as never, text, pointer: '' }, reading) }
  } catch (error) {
    throw inLine(error, line)
  }
}

/** What is wrong with an entry, with the line in which it stands. */
function inLine(error: unknown, line: number): unknown {
  if (!(error instanceof Problem)) return error
  const { errors } = error.facts as { errors?: Fault[] }
  if (errors !== undefined) {
    return invalidRequest(
      'body',
      errors.map((fault) => ({ ...fault, line })),
    )
  }
  const facts = { ...error.facts, line }
  return new Problem(error.code, `Line ${line} of the body: ${error.message}`, { facts })
}

/** The refusal of a body in which two lines have the same key. */
export function repeatedKey({ key, lines }: { key: string; lines: readonly number[] }): Problem {
  const [first, second = 0] = lines
  const message = `repeats the key "${key}" of line ${first}; write each key once`
  return invalidRequest('body', [
    { pointer: '/key', message, line: second },
    { pointer: '/key', message: `is repeated in line ${second}`, line: first ?? 0 },
  ])
}
