import { Problem } from '../problems.ts'
import { explainTlsError } from './tls.ts'

const retryAfter = { 'retry-after': '1' }

const awayMessages = [
  'Connection terminated',
  'timeout exceeded when trying to connect',
  'Client has encountered a connection error',
  'Cannot use a pool after calling end',
]
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EPIPE',
  'ETIMEDOUT',
  'NO_PRIMARY',
  '25P03',
  '28000',
  '28P01',
  '3D000',
  '53300',
  '57P01',
  '57P02',
  '57P03',
  '57P05',
])
/** A standby, or a primary that was fenced off. */
const readOnlyCode = '25006'
const waitCodes = new Set(['55P03', '57014', '40P01', '40001'])

/** True when PostgreSQL cannot be reached, or went away under the statement. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = codeOf(error)
  if (code !== undefined && (awayCodes.has(code) || code.startsWith('08'))) return true
  if (awayMessages.some((message) => error.message.includes(message))) return true
  return explainTlsError(error) !== undefined
}

/** The one map from errors of PostgreSQL to problems; undefined for an error that is ours. */
export function toProblem(error: unknown): Problem | undefined {
  if (isDatabaseAway(error)) {
    return new Problem('database-unavailable', 'PostgreSQL cannot be reached right now.', {
      headers: retryAfter,
      cause: error,
    })
  }
  const code = error instanceof Error ? codeOf(error) : undefined
  if (code === readOnlyCode) {
    return new Problem('database-unavailable', 'PostgreSQL takes no writes right now.', {
      headers: retryAfter,
      cause: error,
    })
  }
  if (code !== undefined && waitCodes.has(code)) {
    return new Problem('overloaded', 'The database did not answer within the allowed wait.', {
      headers: retryAfter,
      cause: error,
    })
  }
  return undefined
}

/** True when a row lock was not to be had within the allowed wait. */
export function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '55P03'
}

/** True when a statement took longer than it may. */
export function isStatementTimeout(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '57014'
}

/** True when PostgreSQL has no room for another lock. */
export function isOutOfSharedMemory(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '53200'
}

/** True when the role that this service uses lacks the right to do so. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '42501'
}

/** True when something was not set up that the statement needs. */
export function isNotReady(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '55000'
}

/** True when a number is beyond the range of its column. */
export function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === '22003'
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
