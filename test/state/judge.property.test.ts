import fc from 'fast-check'
import t from 'tap'
import { enterState, judgeState, openStateLedger, stateWrites } from '../../src/state/judge.ts'
import type { Condition, StateOperation, StateProposal } from '../../src/state/operations.ts'

/**
 * A slow and obvious model: the log of all writes of a namespace. What stands under a key is found by reading it from
 * its beginning.
 */
interface ModelWrite {
  key: string
  revision: number
  version: number
  /** Undefined where it was removed. */
  json: string | undefined
  expiresAt: number | undefined
}

const head = {
  id: 1,
  namespace: 'n',
  revision: 0,
  numEntries: 0,
  versionFloor: 0,
  defaultTtlMs: null,
  requiresPrecondition: false,
  durability: 'sync' as const,
}

function last(log: readonly ModelWrite[], key: string): ModelWrite | undefined {
  return log.findLast((write) => write.key === key)
}

/** The version of the key for a reader at `now`, 0 where there is nothing. */
function versionAt(log: readonly ModelWrite[], key: string, now: number): number {
  const write = last(log, key)
  const isThere = write?.json !== undefined && (write.expiresAt ?? Number.POSITIVE_INFINITY) > now
  return isThere ? write.version : 0
}

function isMet(condition: Condition | undefined, version: number): boolean {
  if (condition === undefined) return true
  if (condition.kind === 'absent') return version === 0
  if (condition.kind === 'exists') return version > 0
  return condition.versions.includes(version)
}

/** Applies a proposal, and answers what each operation came to in short: its version, 0 or `refused`. */
function applyToModel(log: ModelWrite[], { operations, isAtomic }: StateProposal, now: number) {
  const revision = (log.at(-1)?.revision ?? 0) + 1
  const draft = [...log]
  const told = operations.map((operation): number | 'refused' => {
    const { key } = operation
    const version = versionAt(draft, key, now)
    if (operation.kind === 'get' || operation.kind === 'expire') return version
    if (!isMet(operation.condition, version)) return 'refused'
    if (operation.kind === 'delete' && version === 0) return 0
    const next = (last(draft, key)?.version ?? 0) + 1
    const isPut = operation.kind === 'put'
    draft.push({
      key,
      revision,
      version: next,
      json: isPut ? (operation.value.json ?? undefined) : undefined,
      expiresAt: isPut && operation.ttlMs ? now + operation.ttlMs : undefined,
    })
    return next
  })
  if (isAtomic && told.includes('refused')) return 'refused'
  log.push(...draft.slice(log.length))
  return told
}

const conditions = fc.option(
  fc.oneof(
    fc.constant<Condition>({ kind: 'absent' }),
    fc.constant<Condition>({ kind: 'exists' }),
    fc
      .array(fc.nat(4), { minLength: 1, maxLength: 2 })
      .map((versions): Condition => ({ kind: 'version', versions })),
  ),
  { nil: undefined, freq: 2 },
)

const operationOn = (key: string): fc.Arbitrary<StateOperation> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      key: fc.constant(key),
      value: fc.nat(99).map((n) => ({ json: String(n), contentType: null, bytes: null })),
      metadata: fc.constant(null),
      ttlMs: fc.constantFrom(undefined, 3, 8),
      condition: conditions,
    }),
    fc.record({
      kind: fc.constant('delete' as const),
      key: fc.constant(key),
      condition: conditions,
    }),
    fc.record({ kind: fc.constant('get' as const), key: fc.constant(key) }),
  )

/** Operations on keys of their own, as requests are held to. */
const proposals: fc.Arbitrary<StateProposal> = fc
  .tuple(fc.subarray(['a', 'b', 'c'], { minLength: 1 }), fc.boolean())
  .chain(([keys, isAtomic]) =>
    fc.tuple(...keys.map(operationOn)).map((operations) => ({
      namespaceId: 1,
      namespace: 'n',
      operations,
      isAtomic,
    })),
  )

t.test('random proposals come to what a log of all writes says', async (t) => {
  const runs = fc.array(fc.tuple(proposals, fc.nat(4)), { maxLength: 30 })
  fc.assert(
    fc.property(runs, (run) => {
      const log: ModelWrite[] = []
      const ledger = openStateLedger({ namespaces: [head] })
      const namespace = ledger.get(1)
      if (namespace === undefined) throw new Error('the namespace is not there')
      let now = 0
      for (const [proposal, pause] of run) {
        now += pause
        const expected = applyToModel(log, proposal, now)
        const judged = judgeState(proposal, namespace, now)
        if ('refusal' in judged) {
          if (expected !== 'refused') throw new Error('refused, and the model accepts')
          continue
        }
        const { results, revision } = enterState(judged)
        const told = results.map((result) => {
          if (result.kind === 'refused') return 'refused'
          if (result.kind === 'put') return result.entry.version
          return (result.kind === 'get' ? result.entry?.version : result.version) ?? 0
        })
        t.equal(JSON.stringify(told), JSON.stringify(expected))
        t.equal(revision, log.at(-1)?.revision ?? 0)
      }
      const { writes } = stateWrites(ledger)
      const places = writes.map(({ key, revision, version }) => ({ key, revision, version }))
      const expected = log.map(({ key, revision, version }) => ({ key, revision, version }))
      t.equal(JSON.stringify(places), JSON.stringify(expected))
      const live = ['a', 'b', 'c'].filter((key) => last(log, key)?.json !== undefined).length
      t.equal(namespace.head.numEntries, live)
    }),
    { numRuns: 100 },
  )
})
