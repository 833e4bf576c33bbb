import { checksumKeysMax, versionChecksumText } from '../delta/checkpoints/version-checksum.ts'
import type { KeyedAction, VersionRow } from './checksum-queries.ts'

type Kind = 'protocol' | 'metaData' | 'txn' | 'domainMetadata'

/** So many keys of a kind are read; more than stand in a checksum, so that it shows when there are too many. */
export const heldKeysMax = checksumKeysMax + 1

/** What holds in a table, followed from version to version. Pure. */
export class ChecksumState {
  readonly #held = new Map<string, Map<string, string>>()

  constructor(holding: readonly KeyedAction[]) {
    this.#take(holding)
  }

  /** The checksum of the next version, which had these actions; undefined when it would be too long. */
  next(version: VersionRow, changes: readonly KeyedAction[]): string | undefined {
    this.#take(changes)
    const { numFiles, sizeInBytes, inCommitTimestamp, commitInfo } = version
    return versionChecksumText({
      numFiles,
      sizeInBytes,
      inCommitTimestamp,
      commitInfo,
      protocol: this.#one('protocol'),
      metaData: this.metaData(),
      txns: this.#list('txn'),
      domains: this.#list('domainMetadata')?.filter((line) => !isRemoved(line)),
    })
  }

  /** The metadata in force, as its log line. */
  metaData(): string {
    return this.#one('metaData')
  }

  #take(actions: readonly KeyedAction[]): void {
    for (const { kind, key, action } of actions) {
      const ofKind = this.#held.get(kind) ?? new Map<string, string>()
      this.#held.set(kind, ofKind)
      // What is more than can be told need not be held.
      if (ofKind.size < heldKeysMax || ofKind.has(key)) ofKind.set(key, action)
    }
  }

  #one(kind: Kind): string {
    const action = this.#held.get(kind)?.get('')
    if (action === undefined) throw new Error(`the table has no ${kind}`)
    return action
  }

  #list(kind: Kind): string[] | undefined {
    const actions = [...(this.#held.get(kind)?.values() ?? [])]
    return actions.length < heldKeysMax ? actions : undefined
  }
}

function isRemoved(line: string): boolean {
  return JSON.parse(line).domainMetadata.removed === true
}
