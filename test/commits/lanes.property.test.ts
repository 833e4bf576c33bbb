import fc from 'fast-check'
import t from 'tap'
import { type Batch, Lanes, type Turn } from '../../src/commits/lanes.ts'

interface Work extends Turn {
  number: number
  /** How often it was in a batch that passed it by. */
  held: number
}

type Step =
  | { do: 'add'; tables: string[]; actions: number; isAlone: boolean }
  | { do: 'take' }
  | { do: 'tryHeld' }
  | { do: 'takeIn'; which: number }
  | { do: 'finish'; which: number; holds: number; givesUp: boolean }

const table = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      tables: fc.oneof(
        { weight: 5, arbitrary: table.map((one) => [one]) },
        { weight: 1, arbitrary: fc.uniqueArray(table, { minLength: 2, maxLength: 3 }) },
      ),
      actions: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 60 })),
      isAlone: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tryHeld' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('takeIn' as const), which: fc.nat(10) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('finish' as const),
      which: fc.nat(10),
      holds: fc.nat(255),
      givesUp: fc.boolean(),
    }),
  },
)
const limits = fc.record({
  batchesMax: fc.integer({ min: 2, max: 4 }),
  quickMax: fc.integer({ min: 1, max: 3 }),
  aloneMax: fc.integer({ min: 1, max: 3 }),
  unitsMax: fc.integer({ min: 1, max: 5 }),
  actionsMax: fc.integer({ min: 10, max: 50 }),
})

/** Plays steps on lanes and checks each promise as it goes; then lets all that is left come to its end. */
class Play {
  readonly lanes: Lanes<Work>
  readonly inFlight: Batch<Work>[] = []
  readonly added: Work[] = []
  readonly ended = new Map<Work, string>()
  readonly limits: ConstructorParameters<typeof Lanes>[0]

  constructor(given: ConstructorParameters<typeof Lanes>[0]) {
    this.limits = given
    this.lanes = new Lanes<Work>(given)
  }

  run(one: Step): void {
    if (one.do === 'add') {
      const { tables, actions, isAlone } = one
      const work = { tables, actions, isAlone, number: this.added.length, held: 0 }
      this.added.push(work)
      this.lanes.add(work)
    } else if (one.do === 'take') this.take()
    else if (one.do === 'tryHeld') this.lanes.tryHeld()
    else if (one.do === 'takeIn') this.takeIn(one.which)
    else this.finish(one)
    const open = this.added.length - this.ended.size
    same(this.lanes.waiting + this.lanes.inFlight, open, 'what waits and what is in flight')
  }

  take(): Batch<Work> | undefined {
    const batch = this.lanes.take()
    if (batch === undefined) return undefined
    this.checkBatch(batch)
    this.inFlight.push(batch)
    return batch
  }

  /** A batch that grows keeps every promise as if it had been taken like this. */
  takeIn(which: number): void {
    const [batch] = this.inFlight.splice(which % Math.max(1, this.inFlight.length), 1)
    if (batch === undefined) return
    const before = [...batch.turns]
    const taken = this.lanes.takeIn(batch)
    same(numbersOf(batch.turns), numbersOf([...before, ...taken]), 'what it had, and what it took')
    if (batch.kind !== 'slow') same(numbersOf(taken), [], 'none but a slow batch grows')
    else this.checkBatch(batch)
    this.inFlight.push(batch)
  }

  checkBatch({ kind, turns }: Batch<Work>): void {
    if (turns.length === 0) throw new Error('an empty batch')
    this.checkKind({ kind, turns })
    this.checkSize(turns)
    for (const turn of turns) this.checkOrder(turn, turns)
    const busy = new Set(this.inFlight.flatMap((batch) => batch.turns.flatMap((one) => one.tables)))
    if (turns.some(({ tables }) => tables.some((one) => busy.has(one))))
      throw new Error('taken twice')
  }

  checkKind({ kind, turns }: Batch<Work>): void {
    const { batchesMax, quickMax, aloneMax } = this.limits
    const [quick = 0, slow = 0, alone = 0] = ['quick', 'slow', 'alone'].map(
      (other) => this.inFlight.filter((batch) => batch.kind === other).length,
    )
    const first = turns[0]?.tables ?? []
    const rest = turns.slice(1).flatMap(({ tables }) => tables)
    const faults = {
      'too many batches': kind !== 'alone' && quick + slow >= batchesMax,
      'too many alone': kind === 'alone' && alone >= aloneMax,
      'too many quick batches': kind === 'quick' && quick >= quickMax,
      'no place is left for a quick one': kind === 'slow' && slow >= batchesMax - 1,
      'not alone': turns.some(({ isAlone }) => isAlone) && (kind !== 'alone' || turns.length > 1),
      'slow, and not on one table': kind === 'slow' && rest.some((one) => !first.includes(one)),
    }
    same(
      Object.entries(faults).filter(([, isSo]) => isSo),
      [],
      'faults',
    )
  }

  checkSize(turns: readonly Work[]): void {
    const { unitsMax, actionsMax } = this.limits
    if (turns.length > unitsMax) throw new Error('too many units')
    const before = turns.slice(0, -1).reduce((sum, { actions }) => sum + actions, 0)
    if (before >= actionsMax) throw new Error('closed too late')
  }

  /** Nothing older that waits for one of its tables was passed over. */
  checkOrder(turn: Work, turns: readonly Work[]): void {
    for (const other of this.added.slice(0, turn.number)) {
      const meets = other.tables.some((one) => turn.tables.includes(one))
      if (!meets || this.ended.has(other)) continue
      const before = turns.indexOf(other)
      if (before === -1 || before > turns.indexOf(turn)) throw new Error('out of order')
    }
  }

  finish(one: { which: number; holds: number; givesUp: boolean }): void {
    const [batch] = this.inFlight.splice(one.which % Math.max(1, this.inFlight.length), 1)
    if (batch === undefined) return
    const heldTables = new Set(['a', 'b', 'c', 'd', 'e'].filter((_, bit) => (one.holds >> bit) & 1))
    const held = batch.turns.filter(
      ({ tables }) => batch.kind === 'quick' && tables.some((own) => heldTables.has(own)),
    )
    if (one.givesUp && batch.kind === 'slow') {
      for (const turn of this.lanes.giveUpHeld(batch)) {
        if (turn.held === 0) throw new Error('given up, and was never held')
        this.end(turn, 'given up')
      }
    }
    for (const turn of held) turn.held += 1
    this.lanes.finish(batch, held)
    for (const turn of batch.turns) if (!held.includes(turn)) this.end(turn, 'done')
  }

  end(turn: Work, how: string): void {
    if (this.ended.has(turn)) throw new Error('ended twice')
    this.ended.set(turn, how)
  }

  /** Whatever happened before, all that waits is taken when batches come to their ends. */
  drain(): void {
    for (;;) {
      while (this.take() !== undefined);
      if (this.inFlight.length === 0) break
      this.finish({ which: 0, holds: 0, givesUp: false })
    }
    same(this.ended.size, this.added.length, 'all have come to an end')
    same(this.lanes.isIdle, true, 'idle')
    same([this.lanes.waiting, this.lanes.inFlight], [0, 0], 'nothing is left')
  }
}

function numbersOf(turns: readonly Work[]): number[] {
  return turns.map(({ number }) => number)
}

function same(found: unknown, wanted: unknown, what: string): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
  }
}

t.test('no turn is lost, taken twice or out of order, and no batch breaks a limit', async () => {
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 120 }), (given, steps) => {
      const play = new Play(given)
      for (const one of steps) play.run(one)
      play.drain()
    }),
    { numRuns: 2000 },
  )
})

t.test(
  'a table that is free is served within one round, however much the others bring',
  async () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 4 }), (given, others) => {
        const play = new Play(given)
        const names = ['a', 'b', 'c', 'd'].slice(0, others)
        const add = (name: string) =>
          play.run({ do: 'add', tables: [name], actions: 1, isAlone: false })
        for (let number = 0; number < 50; number += 1) names.forEach(add)
        while (play.take() !== undefined);
        add('e')
        const [late] = play.added.slice(-1)
        let batches = 0
        while (late !== undefined && !play.ended.has(late)) {
          names.forEach(add)
          if (play.take() !== undefined) batches += 1
          else play.finish({ which: 0, holds: 0, givesUp: false })
          if (batches > others + given.batchesMax + 1) throw new Error(`after ${batches} batches`)
        }
      }),
    )
  },
)
