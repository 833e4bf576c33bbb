import fc from 'fast-check'
import t from 'tap'
import { type BufferedWrite, WriteBuffer } from '../../../src/state/transactions/buffer.ts'

const keys = ['a', 'b', 'c']
const names = ['s', 't']

type Step =
  | { kind: 'apply'; changes: Record<string, number | null> }
  | { kind: 'setSavepoint' | 'rollBackTo' | 'release'; name: string }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('apply' as const),
      changes: fc.dictionary(fc.constantFrom(...keys), fc.option(fc.nat(9)), { maxKeys: 3 }),
    }),
    fc.record({
      kind: fc.constantFrom('setSavepoint' as const, 'rollBackTo' as const, 'release' as const),
      name: fc.constantFrom(...names),
    }),
  ),
  { maxLength: 40 },
)

/** The writes of keys by their bytes, which stand for their values. */
type Writes = Readonly<Record<string, number>>

/** A whole copy of the writes at each savepoint. */
class Model {
  writes: Writes = {}
  savepoints: { name: string; writes: Writes }[] = []

  /** Answers whether there was such a savepoint. */
  do(step: Step): boolean {
    if (step.kind === 'apply') {
      const entries = Object.entries({ ...this.writes, ...step.changes })
      this.writes = Object.fromEntries(entries.filter((one) => one[1] !== null)) as Writes
      return true
    }
    if (step.kind === 'setSavepoint') {
      this.savepoints.push({ name: step.name, writes: this.writes })
      return true
    }
    const place = this.savepoints.findLastIndex(({ name }) => name === step.name)
    const found = this.savepoints[place]
    if (found === undefined) return false
    if (step.kind === 'rollBackTo') this.writes = found.writes
    this.savepoints.splice(step.kind === 'rollBackTo' ? place + 1 : place)
    return true
  }
}

function writeOf(key: string, bytes: number): BufferedWrite {
  const base = { key, version: 0, isThere: false }
  const operation = { kind: 'delete' as const, key }
  return { namespaceId: 1, key, operation, base, isConditional: false, bytes }
}

/** Answers whether the buffer did what it should: found the savepoint, and grew as it said it would. */
function act(buffer: WriteBuffer, step: Step): boolean {
  if (step.kind !== 'apply') return buffer[step.kind](step.name) ?? true
  const changes = Object.entries(step.changes).map(([key, bytes]) => ({
    namespaceId: 1,
    key,
    write: bytes === null ? undefined : writeOf(key, bytes),
  }))
  const told = buffer.sizeAfter(changes)
  buffer.apply(changes)
  return isSame({ ...buffer.size }, { ...told })
}

/** Whether they hold the same. What a savepoint may bring back is counted besides. */
function agree(buffer: WriteBuffer, { writes, savepoints }: Model): boolean {
  const written = Object.fromEntries(buffer.of(1).map(({ key, bytes }) => [key, bytes]))
  const names = savepoints.map(({ name }) => name)
  if (!isSame(written, writes) || buffer.savepoints.join() !== names.join()) return false
  const held = Object.values(writes)
  const least = { count: held.length, bytes: held.reduce((sum, one) => sum + one, 0) }
  const { count, bytes } = buffer.size
  if (savepoints.length === 0) return isSame({ count, bytes }, least)
  return count >= least.count && bytes >= least.bytes
}

function isSame(one: Writes, other: Writes): boolean {
  const sorted = (writes: Writes) => JSON.stringify(Object.entries(writes).toSorted())
  return sorted(one) === sorted(other)
}

t.test('the buffer is what whole copies at each savepoint would be', async (t) => {
  const numRuns = 500
  const property = fc.property(steps, (all) => {
    const buffer = new WriteBuffer()
    const model = new Model()
    return all.every((step) => act(buffer, step) === model.do(step) && agree(buffer, model))
  })
  const { failed, counterexample } = fc.check(property, { numRuns })
  t.equal(failed, false, JSON.stringify(counterexample))
})
