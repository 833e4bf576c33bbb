import type { Metadata } from '../delta/actions.ts'

/** What changed in the properties of a table: new values by their keys, and the keys that are gone. */
export interface PropertyChanges {
  set: Record<string, string>
  removed: string[]
}

type Properties = Readonly<Record<string, string>>

/** What has to be done to properties; undefined when nothing has. */
export function propertyChanges(
  before: Properties,
  after: Properties,
): PropertyChanges | undefined {
  const set = Object.entries(after).filter(([key, value]) => !hasValue(before, key, value))
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(after, key))
  return set.length + removed.length === 0 ? undefined : { set: Object.fromEntries(set), removed }
}

function hasValue(properties: Properties, key: string, value: string): boolean {
  return Object.hasOwn(properties, key) && properties[key] === value
}

/** Something before and after. */
export interface Change {
  from: string
  to: string
}

/** Both as JSON texts; undefined when they are the same. */
export function changeOf(from: string, to: string): Change | undefined {
  return from === to ? undefined : { from, to }
}

/** What of a table's definition is another at a later version, members as JSON texts. */
export interface DefinitionChanges {
  protocol: Change | undefined
  schema: Change | undefined
  partitionColumns: Change | undefined
  properties: PropertyChanges | undefined
}

/** Compares definitions: the body of each protocol action as JSON text, and the metadata. */
export function definitionChanges(
  before: { protocol: string; metadata: Metadata },
  after: { protocol: string; metadata: Metadata },
): DefinitionChanges {
  const [old, now] = [before.metadata, after.metadata]
  return {
    protocol: changeOf(before.protocol, after.protocol),
    schema: changeOf(old.schemaString, now.schemaString),
    partitionColumns: changeOf(
      JSON.stringify(old.partitionColumns),
      JSON.stringify(now.partitionColumns),
    ),
    properties: propertyChanges(old.configuration ?? {}, now.configuration ?? {}),
  }
}
