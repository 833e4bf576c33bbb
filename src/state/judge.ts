import { holds } from './comparisons.ts'
import { compareBytes } from './key-range.ts'
import type {
  Condition,
  DeleteOperation,
  ExpireOperation,
  OperationResult,
  PutOperation,
  RangeRead,
  Refusal,
  StateOperation,
  StateProposal,
  StateReads,
  StateResult,
} from './operations.ts'
import {
  type EntryRow,
  type NamespaceHead,
  noValue,
  type StateWrites,
  type WriteKind,
  type WriteRow,
} from './rows.ts'

/** A namespace as it stands after the units of the batch accepted so far. Of its entries it knows those that the batch names. */
export interface NamespaceLedger {
  head: NamespaceHead
  /** As the batch found it. */
  openingRevision: number
  entries: Map<string, EntryRow>
  writes: WriteRow[]
  /** Of ranges that were read, a key that was written since, or may have been. */
  staleRanges: ReadonlyMap<RangeRead, string>
}

/** The namespaces of a batch by id. */
export type StateLedger = ReadonlyMap<number, NamespaceLedger>

/** Opens the books over what was found under the locks. */
export function openStateLedger({
  namespaces = [],
  entries = [],
  staleRanges = new Map(),
}: {
  namespaces?: readonly NamespaceHead[]
  entries?: readonly EntryRow[]
  staleRanges?: ReadonlyMap<RangeRead, string>
}): StateLedger {
  const ledger = new Map<number, NamespaceLedger>(
    namespaces.map((head) => [
      head.id,
      {
        head: { ...head },
        openingRevision: head.revision,
        entries: new Map(),
        writes: [],
        staleRanges,
      },
    ]),
  )
  for (const entry of entries) ledger.get(entry.namespaceId)?.entries.set(entry.key, entry)
  return ledger
}

/** What a proposal would come to: its results, and the entries that it leaves. */
export interface JudgedProposal {
  ledger: NamespaceLedger
  succeeded: boolean
  results: OperationResult[]
  /** In the order of its operations. */
  writes: { kind: WriteKind; isNew: boolean; entry: EntryRow; before: EntryRow | undefined }[]
}

/** An operation by which a whole proposal is refused. */
export interface RefusedProposal {
  namespace: string
  key: string
  /** Place among the operations. */
  index: number
  refusal: Refusal
}

/** Judges a proposal on the namespace as it stands, at `now`; enters nothing. Pure. */
export function judgeState(
  proposal: StateProposal,
  ledger: NamespaceLedger,
  now: number,
): JudgedProposal | RefusedProposal {
  const { compare = [], operations, otherwise = [], isAtomic, reads } = proposal
  const staleKey = reads && findStale(reads, ledger, now)
  if (staleKey !== undefined) return staleRead(ledger.head.namespace, staleKey)
  const succeeded = compare.every((one) => holds(one, live(ledger.entries.get(one.key), now)))
  const judged: JudgedProposal = { ledger, succeeded, results: [], writes: [] }
  const draft = new Map<string, EntryRow>()
  const done = succeeded ? operations : otherwise
  for (const [index, operation] of done.entries()) {
    const { key } = operation
    const before = draft.get(key) ?? ledger.entries.get(key)
    const result = judgeOperation(operation, { ledger, before, now })
    if ('refusal' in result) {
      if (isAtomic) {
        return { namespace: ledger.head.namespace, key, index, refusal: result.refusal }
      }
      judged.results.push({ kind: 'refused', key, refusal: result.refusal })
      continue
    }
    judged.results.push(result.told)
    if (result.entry === undefined || operation.kind === 'get') continue
    draft.set(key, result.entry)
    const isNew = result.told.kind === 'put' && result.told.isNew
    judged.writes.push({ kind: operation.kind, isNew, entry: result.entry, before })
  }
  return judged
}

/** A key that was written since it was read, alone or in a range, or has expired. */
function findStale(
  { keys, ranges }: StateReads,
  { entries, writes, staleRanges }: NamespaceLedger,
  now: number,
): string | undefined {
  for (const { key, version, isThere } of keys) {
    const entry = entries.get(key)
    if ((entry?.version ?? 0) !== version) return key
    if ((live(entry, now) !== undefined) !== isThere) return key
  }
  for (const range of ranges) {
    const found = staleRanges.get(range) ?? writes.find(({ key }) => lies(key, range))?.key
    if (found !== undefined) return found
  }
  return undefined
}

/** Whether a key lies in a range, by the bytes of UTF-8 as in the database. */
function lies(key: string, { from, to }: RangeRead): boolean {
  return compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0)
}

function staleRead(namespace: string, key: string): RefusedProposal {
  return { namespace, key, index: 0, refusal: { code: 'serialization-failure' } }
}

/** What is known where an operation is judged. */
interface Place {
  ledger: NamespaceLedger
  /** The newest write of the key, if there was one. */
  before: EntryRow | undefined
  now: number
}

/** What an operation comes to: what is told of it, and the entry that it leaves, if it writes. */
type JudgedOperation =
  | { told: OperationResult; entry?: EntryRow | undefined }
  | { refusal: Refusal }

function judgeOperation(operation: StateOperation, place: Place): JudgedOperation {
  const entry = live(place.before, place.now)
  switch (operation.kind) {
    case 'get':
      return { told: { kind: 'get', key: operation.key, entry } }
    case 'put':
      return refuse(operation.condition, entry, place) ?? put(operation, place)
    case 'delete':
      return refuse(operation.condition, entry, place) ?? remove(operation, entry, place)
    case 'expire': {
      const { before, now } = place
      const isOver = before?.expiresAt != null && before.expiresAt <= now
      const isMeant = isOver && before.version === operation.version
      return remove(operation, isMeant ? before : undefined, place)
    }
  }
}

/** The entry, if it is there for a reader at `now`. */
export function live(entry: EntryRow | undefined, now: number): EntryRow | undefined {
  if (entry === undefined || entry.isDeleted) return undefined
  return entry.expiresAt !== null && entry.expiresAt <= now ? undefined : entry
}

function refuse(
  condition: Condition | undefined,
  entry: EntryRow | undefined,
  { ledger }: Place,
): { refusal: Refusal } | undefined {
  if (condition === undefined) {
    return ledger.head.requiresPrecondition
      ? { refusal: { code: 'precondition-required' } }
      : undefined
  }
  const actual = entry?.version ?? 0
  if (isMet(condition, actual)) return undefined
  return { refusal: { code: 'version-mismatch', expected: condition, actual } }
}

/** Whether a condition holds of an entry of this version; 0 where there is none. */
export function isMet(condition: Condition, version: number): boolean {
  switch (condition.kind) {
    case 'absent':
      return version === 0
    case 'exists':
      return version > 0
    case 'version':
      return condition.versions.includes(version)
  }
}

function put(
  { key, value, metadata, ttlMs }: PutOperation,
  { ledger, before, now }: Place,
): JudgedOperation {
  const { head } = ledger
  const lifeMs = ttlMs === undefined ? head.defaultTtlMs : ttlMs
  const existing = live(before, now)
  const entry: EntryRow = {
    namespaceId: head.id,
    key,
    version: (before?.version ?? head.versionFloor) + 1,
    revision: head.revision + 1,
    isDeleted: false,
    value,
    metadata,
    createdAt: existing?.createdAt ?? now,
    updatedAt: now,
    expiresAt: lifeMs === null ? null : now + lifeMs,
  }
  return { told: { kind: 'put', entry, isNew: existing === undefined }, entry }
}

function remove(
  { kind, key }: DeleteOperation | ExpireOperation,
  existing: EntryRow | undefined,
  { ledger, now }: Place,
): JudgedOperation {
  if (existing === undefined) return { told: { kind, key, version: undefined } }
  const entry: EntryRow = {
    ...existing,
    version: existing.version + 1,
    revision: ledger.head.revision + 1,
    isDeleted: true,
    value: noValue,
    metadata: null,
    updatedAt: now,
    expiresAt: null,
  }
  return { told: { kind, key, version: entry.version }, entry }
}

/** Enters a judged proposal, which gets a revision of its own if it writes, and answers what became of it. */
export function enterState({ ledger, succeeded, results, writes }: JudgedProposal): StateResult {
  const { head, entries } = ledger
  if (writes.length > 0) head.revision += 1
  for (const [position, { kind, isNew, entry, before }] of writes.entries()) {
    const wasCounted = before !== undefined && !before.isDeleted
    head.numEntries += Number(!entry.isDeleted) - Number(wasCounted)
    entries.set(entry.key, entry)
    const { isDeleted: _isDeleted, ...row } = entry
    ledger.writes.push({ ...row, kind, isNew, position })
  }
  const { id, namespace, revision } = head
  return { namespaceId: id, namespace, revision, succeeded, results }
}

/** All that the batch writes. */
export function stateWrites(ledger: StateLedger): StateWrites {
  const changed = [...ledger.values()].filter(
    ({ head, openingRevision }) => head.revision > openingRevision,
  )
  return {
    namespaces: changed.map(({ head }) => head),
    writes: changed.flatMap(({ writes }) => writes),
  }
}
