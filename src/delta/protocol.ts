/** Which protocols a table may have, and how they may change (PROTOCOL.md, "Table Features"). */
import type { Protocol } from './actions.ts'
import { type Fault, faultsMax } from './faults.ts'
import {
  featureFault,
  readerVersionMax,
  supportedFeatures,
  tableFeatures,
  writerVersionMax,
} from './features.ts'
import { listed, quoted } from './text.ts'
import type { ViolationCode } from './violations.ts'

/** What is wrong with a protocol; pointers begin at the protocol itself. */
export interface ProtocolFault extends Fault {
  code: ViolationCode
}

type Lists = Pick<Protocol, 'readerFeatures' | 'writerFeatures'>

function versionFaults(
  name: 'minReaderVersion' | 'minWriterVersion',
  version: number,
  max: number,
) {
  const fault = (message: string): ProtocolFault[] => [
    { code: 'protocol-version-invalid', pointer: `/${name}`, message },
  ]
  if (version < 1) return fault(`${name} must be at least 1`)
  return version > max ? fault(`${name} must be at most ${max}, the highest known`) : []
}

function listFault(name: keyof Lists, protocol: Protocol): ProtocolFault | undefined {
  const [version, max, needs] =
    name === 'readerFeatures'
      ? [protocol.minReaderVersion, readerVersionMax, 'minReaderVersion']
      : [protocol.minWriterVersion, writerVersionMax, 'minWriterVersion']
  const isGiven = (protocol[name] ?? undefined) !== undefined
  if (isGiven === (version === max)) return undefined
  const message = isGiven
    ? `${name} belongs to ${needs} ${max} only; raise the version or leave the list out`
    : `${name} must be listed, if only as [], where ${needs} is ${max}`
  return { code: 'protocol-features-invalid', pointer: `/${name}`, message }
}

function shapeFaults(protocol: Protocol): ProtocolFault[] {
  const { minReaderVersion, minWriterVersion } = protocol
  const faults = [
    ...versionFaults('minReaderVersion', minReaderVersion, readerVersionMax),
    ...versionFaults('minWriterVersion', minWriterVersion, writerVersionMax),
  ]
  if (minReaderVersion === readerVersionMax && minWriterVersion < writerVersionMax) {
    const message = `minReaderVersion ${readerVersionMax} requires minWriterVersion ${writerVersionMax}`
    faults.push({ code: 'protocol-version-invalid', pointer: '/minWriterVersion', message })
  }
  for (const name of ['readerFeatures', 'writerFeatures'] as const) {
    const fault = listFault(name, protocol)
    if (fault) faults.push(fault)
  }
  return faults
}

function readerFeatureFault(name: string, writerFeatures: ReadonlySet<string>): string | undefined {
  if (!writerFeatures.has(name)) {
    return `reader feature ${quoted(name)} must be listed in writerFeatures too`
  }
  const feature = tableFeatures.get(name)
  if (feature === undefined || feature.forReaders) return undefined
  return `table feature ${name} is for writers only; leave it out of readerFeatures`
}

/** Column mapping is older than feature names: reader version 2 has it without a list. */
function isKnownToReaders(
  name: string,
  protocol: Protocol,
  listedNames: ReadonlySet<string>,
): boolean {
  if (listedNames.has(name) || !tableFeatures.get(name)?.forReaders) return true
  return name === 'columnMapping' && protocol.minReaderVersion === 2
}

function featureFaults(protocol: Protocol): ProtocolFault[] {
  const faults: ProtocolFault[] = []
  const readers = new Set(protocol.readerFeatures ?? [])
  const writers = new Set(protocol.writerFeatures ?? [])
  const report = (list: keyof Lists, message: string | undefined) => {
    if (message === undefined) return
    faults.push({ code: 'protocol-features-invalid', pointer: `/${list}`, message })
  }
  for (const name of writers) {
    const unsupported = featureFault(name)
    if (unsupported !== undefined) {
      const pointer = '/writerFeatures'
      faults.push({ code: 'feature-unsupported', pointer, message: unsupported })
    }
    if (!isKnownToReaders(name, protocol, readers)) {
      const message = `table feature ${name} binds readers too; list it in readerFeatures at minReaderVersion ${readerVersionMax}`
      report('readerFeatures', message)
    }
    const lacking = tableFeatures.get(name)?.needs.filter((other) => !writers.has(other)) ?? []
    if (lacking.length > 0) {
      report('writerFeatures', `table feature ${name} needs ${listed(lacking)} beside it`)
    }
  }
  for (const name of readers) report('readerFeatures', readerFeatureFault(name, writers))
  return faults
}

/** What is wrong with a protocol by itself, at most 100 faults. */
export function protocolFaults(protocol: Protocol): ProtocolFault[] {
  return [...shapeFaults(protocol), ...featureFaults(protocol)].slice(0, faultsMax)
}

/**
 * Why a table's protocol may not change in this way: versions never go down and features never go away, those
 * that the old versions implied included. Dropping a feature takes more than a protocol action.
 */
export function protocolChangeFaults(before: Protocol, after: Protocol): ProtocolFault[] {
  const faults: ProtocolFault[] = []
  for (const name of ['minReaderVersion', 'minWriterVersion'] as const) {
    if (after[name] >= before[name]) continue
    const message = `${name} cannot go down from ${before[name]} to ${after[name]}`
    faults.push({ code: 'protocol-downgrade', pointer: `/${name}`, message })
  }
  const kept = supportedFeatures(after)
  const lost = [...supportedFeatures(before)].filter((name) => !kept.has(name))
  if (lost.length > 0) {
    const message = `table features cannot be removed; list in writerFeatures also ${listed(lost)}`
    faults.push({ code: 'feature-removed', pointer: '/writerFeatures', message })
  }
  return faults
}
