/** The rules that no single action breaks. */
import type { Action, Violation } from '../actions.ts'
import { hasUnwritableVoid } from '../data-types.ts'
import { schemaOf } from '../table-state.ts'
import { listed, quoted } from '../text.ts'
import type { ViolationCode } from '../violations.ts'
import type { Commit } from './commit.ts'
import { checkIcebergCompat } from './iceberg-compat.ts'
import { sharedRowIds } from './row-ids.ts'

/** Of what a commit may hold but one: what tells one from another, its code, and its name in messages. */
interface Unique {
  key: string
  code: ViolationCode
  title: string
}

function uniqueOf(action: Action): Unique | undefined {
  switch (action.kind) {
    case 'metaData':
      return { key: 'metaData', code: 'duplicate-metadata', title: 'metaData' }
    case 'protocol':
      return { key: 'protocol', code: 'duplicate-protocol', title: 'protocol' }
    case 'commitInfo':
      return { key: 'commitInfo', code: 'duplicate-commit-info', title: 'commitInfo' }
    case 'txn': {
      const { appId } = action.body
      return { key: `txn/${appId}`, code: 'duplicate-txn', title: `txn of ${quoted(appId)}` }
    }
    case 'domainMetadata': {
      const { domain } = action.body
      const title = `domainMetadata of ${quoted(domain)}`
      return { key: `domain/${domain}`, code: 'duplicate-domain', title }
    }
    default:
      return undefined
  }
}

/** Repetitions of what a commit may hold but once. */
function repetitions(actions: readonly Action[]): Violation[] {
  const violations: Violation[] = []
  const firsts = new Map<string, number>()
  for (const [index, action] of actions.entries()) {
    const unique = uniqueOf(action)
    if (unique === undefined) continue
    const { key, code, title } = unique
    const first = firsts.get(key)
    if (first === undefined) firsts.set(key, index)
    else {
      const message = `a commit may have only one ${title}; actions[${first}] is one already`
      violations.push({ code, index, message })
    }
  }
  return violations
}

/** What the first version of a table lacks. It is placed behind the last action. */
function missingActions(actions: readonly Action[], commit: Commit): Violation[] {
  const index = actions.length
  const violations: Violation[] = []
  if (!commit.metadata) {
    const message = 'the first version of a table must have a metaData action; add one'
    violations.push({ code: 'metadata-missing', index, message })
  }
  if (!commit.protocol) {
    const message = 'the first version of a table must have a protocol action; add one'
    violations.push({ code: 'protocol-missing', index, message })
  }
  return violations
}

function clusteredPartitions(commit: Commit): Violation[] {
  const { metadata, features } = commit
  const index = commit.metadataIndexes[0] ?? commit.protocolIndexes[0]
  const columns = metadata?.partitionColumns ?? []
  if (index === undefined || columns.length === 0 || !features.has('clustering')) return []
  const message = `a table with table feature clustering cannot have partition columns; it has ${listed(columns)}`
  return [{ code: 'clustering-with-partitions', index, message }]
}

/** New files under a schema that no file can hold; told of the first one. */
export function unwritableFiles({ metadata, state, adds }: Commit): Violation[] {
  if (adds.size === 0 || !metadata?.schemaString.includes('"void"')) return []
  const schema = schemaOf(metadata)
  if (schema === undefined || !hasUnwritableVoid(schema)) return []
  for (const [key, { index }] of adds) {
    if (state?.findLiveFile(key) !== undefined) continue
    const message =
      'the schema has a void column in an array or map, or a struct of nothing but void columns, so no file can be written; give the column a type first'
    return [{ code: 'void-not-writable', index, message }]
  }
  return []
}

/** Judges what a commit holds as a whole. */
export function checkWholeCommit(actions: readonly Action[], commit: Commit): Violation[] {
  return [
    ...repetitions(actions),
    ...missingActions(actions, commit),
    ...clusteredPartitions(commit),
    ...checkIcebergCompat(commit),
    ...unwritableFiles(commit),
    ...sharedRowIds(actions, commit),
  ]
}
