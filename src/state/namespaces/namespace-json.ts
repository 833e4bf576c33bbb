import type { NamespaceRow, NamespaceSettings, NamespaceSummaryRow } from './queries.ts'
import type { SetNamespace } from './schema.ts'

/** The settings that a request asks for, what it leaves out at its default. */
export function toSettings(body: SetNamespace): NamespaceSettings {
  const { retention = {} } = body
  return {
    retentionAgeMs: retention.maxAgeMs ?? null,
    retentionRevisions: retention.maxRevisions ?? null,
    archives: retention.archive ?? false,
    defaultTtlMs: body.defaultTtlMs ?? null,
    durability: body.durability ?? 'sync',
    hasMetadataIndex: body.metadataIndex ?? false,
    requiresPrecondition: body.requirePrecondition ?? false,
    readPreference: body.readPreference ?? null,
  }
}

/** A namespace with all that is told of it. */
export function namespaceText(row: NamespaceRow): string {
  const { historyFrom, archiveFrom, deletedKeys, writes, hasMetadataIndex, indexState } = row
  return JSON.stringify({
    ...summaryOf(row),
    deletedKeys,
    history: { oldestRevision: historyFrom, archivedFrom: archiveFrom ?? undefined, writes },
    metadataIndex: {
      enabled: hasMetadataIndex,
      state: hasMetadataIndex ? indexState : undefined,
    },
    settings: settingsOf(row),
  })
}

/** A namespace as lists tell of it. */
export function summaryText(row: NamespaceSummaryRow): string {
  return JSON.stringify(summaryOf(row))
}

function summaryOf({ namespace, revision, numEntries, createdAt }: NamespaceSummaryRow) {
  return { namespace, revision, entries: numEntries, createdAt }
}

/** The settings as a request would ask for them. */
function settingsOf(row: NamespaceSettings): SetNamespace {
  const { retentionAgeMs, retentionRevisions, archives, defaultTtlMs, readPreference } = row
  return {
    retention: {
      ...(retentionAgeMs !== null && { maxAgeMs: retentionAgeMs }),
      ...(retentionRevisions !== null && { maxRevisions: retentionRevisions }),
      archive: archives,
    },
    ...(defaultTtlMs !== null && { defaultTtlMs }),
    durability: row.durability,
    metadataIndex: row.hasMetadataIndex,
    requirePrecondition: row.requiresPrecondition,
    ...(readPreference !== null && { readPreference }),
  }
}
