import { randomUUID } from 'node:crypto'
import type { TableDefinition } from '../commits/unit.ts'
import type { Metadata } from '../delta/actions.ts'
import { columnMappingMode } from '../delta/column-mapping.ts'
import { engineInfo } from '../delta/commit-info.ts'
import { deriveProtocol } from '../delta/derive-protocol.ts'
import { type Fault, faultsBelow } from '../delta/faults.ts'
import { checkPartitionColumns } from '../delta/partitioning.ts'
import { withHiddenColumns } from '../delta/row-tracking.ts'
import { parseSchema } from '../delta/schema.ts'
import { Problem } from '../problems.ts'
import type { CreateTable } from './schema.ts'

/**
 * The protocol and metaData actions of version 0, and what its commitInfo tells. Throws `invalid-table` with every fault of the schema, the
 * partition columns, the configuration and the protocol. `schemaJson` is the schema as it was sent.
 */
export function defineTable(
  request: CreateTable,
  { id, schemaJson, now }: { id: string; schemaJson: string; now: number },
): TableDefinition {
  const { configuration: requested = {}, partitionColumns = [], name, description } = request
  const columnMapping = columnMappingMode(requested) !== 'none'
  const { schema, faults: schemaFaults } = parseSchema(request.schema, { columnMapping })
  if (schema === undefined) throw invalidTable(faultsBelow('/schema', schemaFaults))
  const derived = deriveProtocol({ schema, configuration: requested, requested: request.protocol })
  const faults = [
    ...faultsBelow('/partitionColumns', checkPartitionColumns(schema, partitionColumns)),
    ...(derived.faults ?? []),
  ]
  if (derived.faults !== undefined || faults.length > 0) throw invalidTable(faults)
  const { protocol } = derived
  const configuration = withHiddenColumns(derived.configuration, protocol, randomUUID)
  const metadata: Metadata = {
    id,
    name,
    ...(description !== undefined && { description }),
    format: { provider: 'parquet', options: {} },
    schemaString: schemaJson,
    partitionColumns,
    configuration,
    createdTime: now,
  }
  return {
    protocol: { kind: 'protocol', body: protocol, json: JSON.stringify({ protocol }) },
    metadata: { kind: 'metaData', body: metadata, json: JSON.stringify({ metaData: metadata }) },
    info: creationInfo(metadata),
  }
}

function invalidTable(errors: readonly Fault[]): Problem {
  const [first] = errors
  const more = errors.length > 1 ? ` And ${errors.length - 1} more.` : ''
  return new Problem('invalid-table', `${first?.pointer}: ${first?.message}.${more}`, {
    facts: { errors },
  })
}

function creationInfo(metadata: Metadata): Map<string, string> {
  const operationParameters = {
    partitionBy: JSON.stringify(metadata.partitionColumns),
    properties: JSON.stringify(metadata.configuration),
    description: metadata.description ?? null,
  }
  return new Map([
    ['operationParameters', JSON.stringify(operationParameters)],
    ['engineInfo', JSON.stringify(engineInfo)],
  ])
}
