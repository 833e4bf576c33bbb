/** The rules of protocol, txn and commitInfo actions, and of those the service does not know. */
import type { ActionOf, OtherAction } from '../actions.ts'
import { protocolChangeFaults, protocolFaults } from '../protocol.ts'
import { exceedsBytes, isStorableText, quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import { checkLong, readBody } from './bodies.ts'
import type { Commit } from './commit.ts'

/** The longest application id or domain, in bytes of UTF-8. */
export const keyBytesMax = 1000

/** Judges a protocol action. */
export function checkProtocol(
  action: ActionOf<'protocol'>,
  { state }: Commit,
  report: Report,
): void {
  const { minReaderVersion, minWriterVersion } = readBody(action, report)
  checkLong(minReaderVersion, { name: 'minReaderVersion' }, report)
  checkLong(minWriterVersion, { name: 'minWriterVersion' }, report)
  const after = action.body
  const faults = protocolFaults(after)
  const changes = state && faults.length === 0 ? protocolChangeFaults(state.protocol, after) : []
  for (const { code, message } of [...faults, ...changes]) report(code, message)
}

interface Key {
  value: string
  /** What messages call it. */
  title: string
  invalid: 'app-id-invalid' | 'domain-invalid'
}

/** Judges the text by which a later action replaces this one. */
export function checkKey({ value, title, invalid }: Key, report: Report): void {
  if (value === '') report(invalid, `${title} cannot be empty`)
  if (!isStorableText(value)) {
    report('text-not-storable', `${title} holds a NUL or unpaired surrogate; leave it out`)
  }
  if (exceedsBytes(value, keyBytesMax)) {
    report(invalid, `${title} cannot be longer than ${keyBytesMax} bytes in UTF-8`)
  }
}

/**
 * Judges a txn action. Its version may be any long, also a negative one or one below the last: what versions
 * mean is up to the application (PROTOCOL.md, "Transaction Identifiers").
 */
export function checkTxn(action: ActionOf<'txn'>, report: Report): void {
  const body = readBody(action, report)
  checkKey({ value: body.appId, title: 'txn appId', invalid: 'app-id-invalid' }, report)
  checkLong(body.version, { name: 'txn version' }, report)
  checkLong(body.lastUpdated, { name: 'txn lastUpdated' }, report)
}

/** Judges a commitInfo action: free-form, but an object. */
export function checkCommitInfo({ body }: ActionOf<'commitInfo'>, report: Report): void {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return
  report('commit-info-invalid', 'commitInfo must be an object')
}

const checkpointOnly: ReadonlySet<string> = new Set(['checkpointMetadata', 'sidecar'])
const known = [
  'add',
  'remove',
  'cdc',
  'metaData',
  'protocol',
  'txn',
  'domainMetadata',
  'commitInfo',
]
const spelling: ReadonlyMap<string, string> = new Map(
  [...known, ...checkpointOnly].map((name) => [name.toLowerCase(), name]),
)

/**
 * Judges an action that the service gives no meaning to. Readers ignore what they do not know, and so it is
 * kept; but a known name in other letters would be ignored too, with all that it says.
 */
export function checkOther({ name }: OtherAction, report: Report): void {
  if (checkpointOnly.has(name)) {
    report('checkpoint-action', `${name} belongs into checkpoints only; leave it out of the commit`)
    return
  }
  const meant = spelling.get(name.toLowerCase())
  if (meant !== undefined) {
    report('action-misspelled', `${quoted(name)} is not an action of Delta; write it ${meant}`)
  }
  if (!isStorableText(name)) {
    report('text-not-storable', 'the name of the action holds a NUL or unpaired surrogate')
  }
}
