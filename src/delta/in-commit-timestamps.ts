/** In-commit timestamps on tables that others began without them (PROTOCOL.md, "In-Commit Timestamps"). */
import type { Action, ActionOf, Metadata, Protocol } from './actions.ts'
import { inCommitTimestampsKey, isOn } from './configuration.ts'
import { supportedFeatures, writerVersionMax } from './features.ts'
import { actionBody, compactJson, memberSources, setMembers } from './json.ts'
import { metadataOfLine } from './table-state.ts'

/** Properties that tell since when a table has in-commit timestamps, where that is not its first version. */
export const enablementKeys = {
  version: 'delta.inCommitTimestampEnablementVersion',
  timestamp: 'delta.inCommitTimestampEnablementTimestamp',
} as const

/** Whether each commit of a table must tell its time. */
export function tellsTimes({ configuration }: Metadata): boolean {
  return isOn(configuration, inCommitTimestampsKey)
}

/** A table as its head has it. */
interface Definition {
  protocol: Protocol
  metadata: Metadata
  metadataJson: string
}

/**
 * The actions of a commit, and with them what turns in-commit timestamps on where the table has none: a protocol that
 * names what the old one implied, and the metadata with the properties for it. What the commit itself has of these is
 * changed, all other tokens stay.
 */
export function withTimestamps(
  actions: readonly Action[],
  table: Definition,
  commit: { version: number; inCommitTimestamp: number },
): readonly Action[] {
  if (tellsTimes(table.metadata)) return actions
  const isOf = (kind: string) => (action: Action) => action.kind === kind
  const protocol = actions.find(isOf('protocol')) as ActionOf<'protocol'> | undefined
  const metadata = actions.find(isOf('metaData')) as ActionOf<'metaData'> | undefined
  const turned = [
    timedProtocol(protocol?.body ?? table.protocol),
    timedMetadata(metadata?.json ?? compactJson(table.metadataJson), commit),
  ]
  const others = actions.map((action) => turned.find(({ kind }) => kind === action.kind) ?? action)
  return [...others, ...turned.filter((action) => !others.includes(action))]
}

function timedProtocol(before: Protocol): ActionOf<'protocol'> {
  const { minReaderVersion, readerFeatures } = before
  const writerFeatures = [...supportedFeatures(before).add('inCommitTimestamp')].sort()
  const body = {
    minReaderVersion,
    minWriterVersion: writerVersionMax,
    ...(readerFeatures && { readerFeatures }),
    writerFeatures,
  }
  return { kind: 'protocol', body, json: JSON.stringify({ protocol: body }) }
}

function timedMetadata(
  line: string,
  { version, inCommitTimestamp }: { version: number; inCommitTimestamp: number },
): ActionOf<'metaData'> {
  const before = actionBody(line)
  const given = memberSources(before).get('configuration') ?? 'null'
  const properties = [
    [inCommitTimestampsKey, 'true'],
    [enablementKeys.version, String(version)],
    [enablementKeys.timestamp, String(inCommitTimestamp)],
  ] as const
  const configuration = setMembers(
    given === 'null' ? '{}' : given,
    new Map(properties.map(([key, value]) => [key, JSON.stringify(value)])),
  )
  const json = `{"metaData":${setMembers(before, new Map([['configuration', configuration]]))}}`
  return { kind: 'metaData', body: metadataOfLine(json), json }
}
