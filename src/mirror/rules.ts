/** The states of a mirror that a caller is told, in the order of what matters most. */
export const mirrorStates = ['paused', 'forked', 'current', 'failed', 'retrying', 'behind'] as const

export type MirrorStateName = (typeof mirrorStates)[number]

/** A row of `mirrors`, with the commit that waits longest. */
export interface MirrorRow {
  publishedVersion: number
  mirrorState: MirrorStateName
  lastError: string | null
  nextRetryAt: string | null
  pausedAt: string | null
  /** A `Fork` as JSON. */
  fork: string | null
  /** Milliseconds since the oldest commit that is not yet published; null when all are. */
  lagMs: number | null
}

/** One version of a log as one side has it. */
export interface ForkSide {
  inCommitTimestamp?: number | undefined
  /** Some of what the commitInfo says, cut short. */
  commitInfo?: Record<string, string | number | boolean> | undefined
  sizeInBytes: number
  /** In hexadecimal digits; of very large files it is not taken. */
  sha256?: string | undefined
}

/** Where the log and this service part. */
export interface Fork {
  /** The first version that stands in the log with other content than here. */
  version: number
  /** What was committed here; absent while nothing was, so that theirs can be adopted. */
  ours?: ForkSide | undefined
  /** The version that the log goes on with, where it lacks this one. */
  nextVersion?: number | undefined
  /** What stands in the log; absent when it lacks this version, or could not be looked at. */
  theirs?: (ForkSide & { modifiedAt: string; lastVersion: number }) | undefined
}

const toldMembers = ['operation', 'engineInfo', 'timestamp', 'txnId', 'isBlindAppend']
const toldCharsMax = 200

/** What is told of the commitInfo in the beginning of a log file; nothing where it holds none that can be read. */
export function commitInfoOf(head: string): Pick<ForkSide, 'commitInfo' | 'inCommitTimestamp'> {
  const line = head.split('\n').find((text) => /^\s*\{\s*"commitInfo"/.test(text))
  const info = line === undefined ? undefined : readCommitInfo(line)
  if (info === undefined) return {}
  const told = toldMembers.flatMap((name) => {
    const value = info[name]
    if (typeof value === 'string') return [[name, value.slice(0, toldCharsMax)]]
    return typeof value === 'number' || typeof value === 'boolean' ? [[name, value]] : []
  })
  const { inCommitTimestamp } = info
  return {
    commitInfo: Object.fromEntries(told),
    ...(Number.isSafeInteger(inCommitTimestamp) && {
      inCommitTimestamp: Number(inCommitTimestamp),
    }),
  }
}

function readCommitInfo(line: string): Record<string, unknown> | undefined {
  try {
    const { commitInfo } = JSON.parse(line)
    return typeof commitInfo === 'object' && commitInfo !== null ? commitInfo : undefined
  } catch {
    return undefined
  }
}

/** What a caller is told of a mirror. */
export interface MirrorState {
  state: MirrorStateName
  publishedVersion: number
  pending: number
  lastError?: string
  nextRetryAt?: string
  pausedAt?: string
  lagMs: number
  fork?: Fork
}

/** What is told of a table's mirror, from how far it is and how far the table is. */
export function mirrorState(mirror: MirrorRow & { version: number }): MirrorState {
  const pending = mirror.version - mirror.publishedVersion
  return {
    state: mirror.mirrorState,
    publishedVersion: mirror.publishedVersion,
    pending,
    ...(mirror.lastError !== null && { lastError: mirror.lastError }),
    ...(mirror.nextRetryAt !== null && { nextRetryAt: mirror.nextRetryAt }),
    ...(mirror.pausedAt !== null && { pausedAt: mirror.pausedAt }),
    lagMs: pending > 0 ? Math.max(0, Math.round(mirror.lagMs ?? 0)) : 0,
    ...(mirror.fork !== null && { fork: JSON.parse(mirror.fork) }),
  }
}

/** Why a table could not be published, as far as it matters for what comes next. */
export const failureKinds = [
  'forked',
  'location-not-allowed',
  'no-permission',
  'obstructed',
  'storage-unavailable',
] as const

export type FailureKind = (typeof failureKinds)[number]

/** By our own codes, those of Node, and the reasons that S3 gives. */
const kindsByCode: Readonly<Record<string, FailureKind>> = {
  'location-not-allowed': 'location-not-allowed',
  EACCES: 'no-permission',
  EPERM: 'no-permission',
  EROFS: 'no-permission',
  AccessDenied: 'no-permission',
  Forbidden: 'no-permission',
  InvalidAccessKeyId: 'no-permission',
  SignatureDoesNotMatch: 'no-permission',
  EEXIST: 'obstructed',
  EISDIR: 'obstructed',
  ENOTDIR: 'obstructed',
  ELOOP: 'obstructed',
  ENAMETOOLONG: 'obstructed',
  NoSuchBucket: 'obstructed',
}

/** What kind of failure an error of the storage is. Forks are told by who compares the bytes. */
export function failureKind(error: Error): FailureKind {
  const { reason, code } = error as { reason?: unknown; code?: unknown }
  return kindsByCode[String(reason)] ?? kindsByCode[String(code)] ?? 'storage-unavailable'
}

/** What follows an attempt that came to nothing. */
export interface NextAttempt {
  state: 'retrying' | 'failed' | 'forked'
  /** Undefined when nothing more is tried until somebody asks for it. */
  delayMs: number | undefined
}

/** After so many attempts in vain, what does not pass by itself is left to a person. */
const attemptsMax = 5

/**
 * What follows the `attempts`-th failure in a row; `random` is from 0 to 1. What may pass by itself is tried again
 * soon, for ever; what needs a person, seldom, so that it goes on by itself once it is mended.
 */
export function nextAttempt(kind: FailureKind, attempts: number, random: number): NextAttempt {
  if (kind === 'forked') return { state: 'forked', delayMs: undefined }
  const isLeft = kind !== 'storage-unavailable' && attempts >= attemptsMax
  return isLeft
    ? { state: 'failed', delayMs: jittered(failedRetryMs, random) }
    : { state: 'retrying', delayMs: retryDelayMs(attempts, random) }
}

const retryMsMin = 100
const retryMsMax = 60_000
const failedRetryMs = 600_000

/** Wait after this many failures in a row: doubling up to a minute, jittered. */
function retryDelayMs(attempts: number, random: number): number {
  return jittered(Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempts - 1, 20)), random)
}

/** From half of the time to all of it, so that what failed together is not tried together. */
export function jittered(ms: number, random: number): number {
  return Math.round((ms * (1 + random)) / 2)
}

/** What fails and recovers together: a bucket, or the file systems of this machine. */
export function storeOf(location: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*/.exec(location)?.[0] ?? localStore
}

/** The folders of this machine. */
export const localStore = 'local'
