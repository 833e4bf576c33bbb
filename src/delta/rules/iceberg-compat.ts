/** The rules of tables that can be read as Apache Iceberg too (PROTOCOL.md, "Iceberg Compatibility V1" and "V2"). */
import type { Long, Violation } from '../actions.ts'
import { icebergCompat, icebergCompatFaults } from '../iceberg-compat.ts'
import { schemaOf } from '../table-state.ts'
import { listed } from '../text.ts'
import type { Report } from '../violations.ts'
import type { Commit } from './commit.ts'

const code = 'iceberg-compat-invalid'

/** Judges what a commit makes of the schema, the properties and the partitioning of such a table. */
export function checkIcebergCompat(commit: Commit): Violation[] {
  const { metadata, features } = commit
  const index = commit.metadataIndexes[0] ?? commit.protocolIndexes[0]
  const schema = metadata && schemaOf(metadata)
  if (index === undefined || schema === undefined) return []
  const configuration = metadata?.configuration ?? {}
  const messages = icebergCompatFaults({ schema, configuration, features })
  const partitions = partitionFault(commit)
  if (partitions !== undefined) messages.push(partitions)
  return messages.map((message) => ({ code, index, message }))
}

function partitionFault({ state, metadata, features }: Commit): string | undefined {
  const [active] = icebergCompat({ configuration: metadata?.configuration ?? {}, features })
  const before = state?.metadata.partitionColumns ?? []
  const after = metadata?.partitionColumns ?? []
  const isSame = before.length === after.length && before.every((name, at) => name === after[at])
  if (active === undefined || before.length === 0 || isSame) return undefined
  return `${active} needs the partition columns to stay ${listed(before)}`
}

/** Judges an add action by the number of records that its statistics tell. */
export function checkAddForIceberg(
  numRecords: Long | undefined,
  { metadata, features }: Commit,
  report: Report,
): void {
  if (numRecords !== undefined) return
  const [active] = icebergCompat({ configuration: metadata?.configuration ?? {}, features })
  if (active === undefined) return
  const message = `${active} needs numRecords in the stats of every file that is added; give it`
  report('iceberg-compat-without-records', message)
}
