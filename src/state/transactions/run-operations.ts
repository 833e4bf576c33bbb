import { toProblem } from '../../database/sqlstate.ts'
import { isMet, live } from '../judge.ts'
import { compareBytes } from '../key-range.ts'
import type { Namespace } from '../namespaces.ts'
import type { KeyRead, PutOperation } from '../operations.ts'
import type { KeyRange } from '../read-queries.ts'
import type { EntryRow } from '../rows.ts'
import { refusedProposal } from '../rules.ts'
import type { BufferChange, BufferedWrite } from './buffer.ts'
import type { OpenTransaction } from './open-transaction.ts'
import type { ListOperation, TransactionOperation, WriteOperation } from './receive.ts'
import { lostView, tooLarge, tooMuch } from './rules.ts'

/** How much an interactive transaction may hold in memory. */
export interface TransactionSizes {
  /** Writes, and entries that were read, at most. */
  stateOperationsMax: number
  stateTransactionBytesMax: number
}

/** What became of an operation. */
export type RunResult =
  | { kind: 'put' | 'delete'; key: string; write: BufferedWrite; isNew: boolean }
  | { kind: 'missing'; key: string }
  | { kind: 'found'; seen: Seen }
  | { kind: 'listed'; items: Seen[]; next: string | undefined }

/** An entry as the transaction sees it: as it was found, or as it has written it. */
export type Seen = { entry: EntryRow } | { write: BufferedWrite }

/** Bytes of values in a list at most, but for one entry. */
const listBytesMax = 16 * 1024 * 1024

/** Does operations on a namespace, all of them or, where one is refused, none; what was read counts as read all the same. */
export async function runOperations(
  open: OpenTransaction,
  { namespaceId, namespace }: Namespace,
  { operations, sizes }: { operations: readonly TransactionOperation[]; sizes: TransactionSizes },
): Promise<RunResult[]> {
  open.names.set(namespaceId, namespace)
  const found = await look(open, namespaceId, { operations, sizes })
  const draft = new Map<string, BufferChange>()
  const place = { open, namespaceId, found, draft, sizes }
  const results: RunResult[] = []
  for (const [index, operation] of operations.entries()) {
    if (operation.kind === 'list') results.push(await list(operation, place))
    else if (operation.kind === 'get') results.push(get(operation.key, place))
    else results.push(write(operation, { ...place, namespace, index }))
  }
  const changes = [...draft.values()]
  refuseGrowth(open, changes, sizes)
  open.buffer.apply(changes)
  return results
}

/** Where an operation is done: the transaction, what was found in its view, and what the request has written so far. */
interface Place {
  open: OpenTransaction
  namespaceId: number
  found: Found
  draft: Map<string, BufferChange>
}

interface Found {
  entries: ReadonlyMap<string, EntryRow>
  now: number
}

/** Reads the entries that operations name, but for those that only the transaction's own writes tell of. */
async function look(
  open: OpenTransaction,
  namespaceId: number,
  { operations, sizes }: { operations: readonly TransactionOperation[]; sizes: TransactionSizes },
): Promise<Found> {
  const wholes = new Map<string, boolean>()
  for (const operation of operations) {
    if (operation.kind === 'list') continue
    const { key, kind } = operation
    // One that was not there may be as it was again in the middle of the request.
    if (open.buffer.find(namespaceId, key)?.base.isThere) continue
    wholes.set(key, kind === 'get' || wholes.get(key) === true)
  }
  const count = open.reads.keys + wholes.size
  if (isJudged(open) && count > sizes.stateOperationsMax) {
    throw tooMuch('entries that it has read', count, sizes.stateOperationsMax)
  }
  const asked = [...wholes].map(([key, isWhole]) => ({ namespaceId, key, isWhole }))
  const { entries, now } = await read(open, () => open.view.find(asked))
  const found = { entries: new Map(entries.map((entry) => [entry.key, entry])), now }
  if (isJudged(open)) {
    open.reads.noteKeys(
      namespaceId,
      asked.map(({ key }) => readOf(key, found)),
    )
  }
  return found
}

/** Whether what was read is judged at the commit. */
function isJudged({ row }: OpenTransaction): boolean {
  return row.isolationLevel === 'Serializable'
}

/** A view that was lost does not come back; then the transaction cannot go on. */
async function read<Result>(open: OpenTransaction, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    if (open.row.isolationLevel === 'ReadCommitted') throw error
    open.fail()
    throw toProblem(error) === undefined ? error : lostView(open.row.id, error)
  }
}

function readOf(key: string, { entries, now }: Found): KeyRead {
  const entry = entries.get(key)
  return { key, version: entry?.version ?? 0, isThere: live(entry, now) !== undefined }
}

/** What the transaction has written under a key by now. */
function ownWrite(
  key: string,
  { open, namespaceId, draft }: Omit<Place, 'found'>,
): BufferedWrite | undefined {
  const change = draft.get(key)
  return change === undefined ? open.buffer.find(namespaceId, key) : change.write
}

function get(key: string, place: Place): RunResult {
  const own = ownWrite(key, place)
  if (own !== undefined) {
    if (own.operation.kind === 'delete') return { kind: 'missing', key }
    return { kind: 'found', seen: { write: own } }
  }
  const entry = live(place.found.entries.get(key), place.found.now)
  return entry === undefined ? { kind: 'missing', key } : { kind: 'found', seen: { entry } }
}

/** The version that an entry has for the transaction; of one that it has written, the one that it will have. */
export function versionOf(write: BufferedWrite): number {
  return write.operation.kind === 'delete' ? 0 : write.base.version + 1
}

function write(
  { condition, ...operation }: WriteOperation,
  { namespace, index, ...place }: Place & { namespace: string; index: number },
): RunResult {
  const { key } = operation
  const own = ownWrite(key, place)
  const base = own?.base ?? readOf(key, place.found)
  const version = own === undefined ? (base.isThere ? base.version : 0) : versionOf(own)
  if (condition !== undefined && !isMet(condition, version)) {
    const refusal = { code: 'version-mismatch' as const, expected: condition, actual: version }
    throw refusedProposal({ namespace, key, index, refusal })
  }
  if (operation.kind === 'delete' && version === 0) return { kind: 'missing', key }
  const isConditional = condition !== undefined || own?.isConditional === true
  const { namespaceId } = place
  const made = { namespaceId, key, operation, base, isConditional, bytes: sizeOf(operation) }
  // One that was never there for others need not be deleted for them.
  const isVoid = operation.kind === 'delete' && !base.isThere
  place.draft.set(key, { namespaceId, key, write: isVoid ? undefined : made })
  return { kind: operation.kind, key, write: made, isNew: version === 0 }
}

function sizeOf(operation: Omit<WriteOperation, 'condition'>): number {
  if (operation.kind === 'delete') return Buffer.byteLength(operation.key)
  const { key, value, metadata } = operation as PutOperation
  const texts = [key, value.json ?? '', metadata ?? '']
  const bytes = value.bytes?.length ?? 0
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), bytes)
}

function refuseGrowth(
  { buffer }: OpenTransaction,
  changes: readonly BufferChange[],
  { stateOperationsMax, stateTransactionBytesMax }: TransactionSizes,
): void {
  const { count, bytes } = buffer.sizeAfter(changes)
  if (count > stateOperationsMax) throw tooMuch('writes', count, stateOperationsMax)
  if (bytes > stateTransactionBytesMax) throw tooLarge(bytes, stateTransactionBytesMax)
}

/** A page of what was found, with what the transaction has written itself. */
async function list(
  { from, to, after, limit }: ListOperation,
  place: Place & { sizes: TransactionSizes },
): Promise<RunResult> {
  const { open, namespaceId } = place
  const range = { namespaceId, from, to, after }
  const { entries, hasMore } = await read(open, () =>
    open.view.list(range, { limit, bytesMax: listBytesMax }),
  )
  const last = hasMore ? entries.at(-1)?.key : undefined
  const found = new Map<string, Seen>(entries.map((entry) => [entry.key, { entry }]))
  for (const [key, write] of ownWrites(place)) {
    if (!isBetween(key, range) || (last !== undefined && compareBytes(key, last) > 0)) continue
    if (write === undefined || write.operation.kind === 'delete') found.delete(key)
    else found.set(key, { write })
  }
  const all = [...found].toSorted(([one], [other]) => compareBytes(one, other))
  const shown = all.slice(0, limit)
  const next = shown.length < all.length ? shown.at(-1)?.[0] : last
  if (isJudged(open)) await noteList(place, { ...range, entries, next })
  return { kind: 'listed', items: shown.map(([, seen]) => seen), next }
}

/** All that the transaction has written to the namespace by now. */
function ownWrites({ open, namespaceId, draft }: Place): Map<string, BufferedWrite | undefined> {
  const before = open.buffer.of(namespaceId).map((write) => [write.key, write] as const)
  return new Map([...before, ...[...draft].map(([key, { write }]) => [key, write] as const)])
}

function isBetween(key: string, { from, to, after }: KeyRange): boolean {
  if (after !== undefined && compareBytes(key, after) <= 0) return false
  return compareBytes(key, from) >= 0 && (to === undefined || compareBytes(key, to) < 0)
}

/** Notes the range as far as it was shown, and those of its entries that may expire. */
async function noteList(
  { open, namespaceId, sizes }: Place & { sizes: TransactionSizes },
  { from, to, after, entries, next }: KeyRange & { entries: EntryRow[]; next: string | undefined },
): Promise<void> {
  const sinceRevision = await read(open, () => open.view.revision(namespaceId))
  open.reads.noteRange(namespaceId, {
    from: after !== undefined && compareBytes(after, from) > 0 ? after : from,
    // No key is between one and the same with a character more, but for NUL, which no key has.
    to: next === undefined ? to : `${next}\u0001`,
    sinceRevision,
  })
  open.reads.noteKeys(
    namespaceId,
    entries
      .filter(({ expiresAt }) => expiresAt !== null)
      .map(({ key, version }) => ({ key, version, isThere: true })),
  )
  const { keys } = open.reads
  if (keys > sizes.stateOperationsMax) {
    throw tooMuch('entries that it has read', keys, sizes.stateOperationsMax)
  }
}
