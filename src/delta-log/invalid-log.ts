import { Problem } from '../problems.ts'

/** Where a log is damaged, and how; `message` is to be read behind the place. */
export interface LogFault {
  /** Below the folder of the table. */
  file: string
  /** From 1. */
  line?: number | undefined
  message: string
}

/** The refusal of a log that cannot be read, or leaves open what it means. */
export function invalidLog({ file, line, message }: LogFault, cause?: unknown): Problem {
  const place = line === undefined ? file : `${file}, line ${line}`
  return new Problem('delta-log-invalid', `${place}: ${message}.`, {
    facts: { file, ...(line !== undefined && { line }) },
    cause,
  })
}
