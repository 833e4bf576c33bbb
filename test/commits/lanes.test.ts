import t from 'tap'
import { type Batch, Lanes, type Turn } from '../../src/commits/lanes.ts'

interface Work extends Turn {
  name: string
}

/** `a1` is on the table a; `ab1` on a and b; a number of actions may follow, `alone` with `!`. */
function work(text: string): Work {
  const [, tables = '', actions = '1', mark = ''] = /^([a-z]+)\d*(?::(\d+))?(!?)$/.exec(text) ?? []
  return { name: text, tables: [...tables], actions: Number(actions), isAlone: mark === '!' }
}

const limits = { batchesMax: 4, quickMax: 2, aloneMax: 2, unitsMax: 10, actionsMax: 100 }

function lanesOf(names: readonly string[], more: Partial<typeof limits> = {}): Lanes<Work> {
  const lanes = new Lanes<Work>({ ...limits, ...more })
  for (const name of names) lanes.add(work(name))
  return lanes
}

/** What is taken until nothing more may start, such as `slow a1 a2`. */
function takeAll(lanes: Lanes<Work>): { batches: Batch<Work>[]; told: string[] } {
  const batches: Batch<Work>[] = []
  for (let batch = lanes.take(); batch !== undefined; batch = lanes.take()) batches.push(batch)
  return { batches, told: batches.map(tell) }
}

function tell({ kind, turns }: Batch<Work>): string {
  return [kind, ...turns.map(({ name }) => name)].join(' ')
}

const cases: { of: string; waiting: string[]; more?: Partial<typeof limits>; taken: string[] }[] = [
  { of: 'nothing', waiting: [], taken: [] },
  { of: 'one table waits for its row', waiting: ['a1', 'a2'], taken: ['slow a1 a2'] },
  {
    of: 'only so much is alone at once, and the rest goes on',
    waiting: ['a1!', 'b1!', 'c1!', 'd1', 'e1'],
    taken: ['alone a1!', 'alone b1!', 'quick d1 e1'],
  },
  { of: 'several tables share', waiting: ['a1', 'b1', 'a2', 'c1'], taken: ['quick a1 a2 b1 c1'] },
  {
    of: 'shares are even while others wait',
    waiting: ['a1', 'a2', 'a3', 'a4', 'b1'],
    more: { unitsMax: 4 },
    taken: ['quick a1 a2 b1'],
  },
  {
    of: 'shares of actions are even too',
    waiting: ['a1:10', 'a2:10', 'a3:10', 'a4:10', 'b1:1', 'c1', 'd1', 'e1'],
    taken: ['quick a1:10 a2:10 b1:1 c1 d1 e1'],
  },
  {
    of: 'what is large goes alone with its table',
    waiting: ['a1:11', 'a2', 'b1', 'c1'],
    taken: ['slow a1:11 a2', 'quick b1 c1'],
  },
  {
    of: 'the large leave a place for the small',
    waiting: ['a:50', 'b:50', 'c:50', 'd:50', 'e1', 'f1'],
    taken: ['slow a:50', 'slow b:50', 'slow c:50', 'quick e1 f1'],
  },
  {
    of: 'a batch is closed at its actions',
    waiting: ['a1:60', 'a2:60', 'a3:60'],
    taken: ['slow a1:60 a2:60'],
  },
  {
    of: 'a turn on two tables keeps its place on both',
    waiting: ['a1', 'ab1', 'a2', 'b1', 'c1'],
    taken: ['quick a1 ab1 a2 c1'],
  },
  {
    of: 'a turn on two tables waits until it is first on both',
    waiting: ['a1:50', 'ab1', 'b1', 'c1', 'd1'],
    taken: ['slow a1:50', 'quick c1 d1'],
  },
  { of: 'alone', waiting: ['a1', 'a2!', 'a3'], taken: ['slow a1'] },
  { of: 'alone on a free table', waiting: ['a1!', 'b1', 'a2'], taken: ['alone a1!', 'slow b1'] },
  {
    of: 'those alone are not counted',
    waiting: ['a1!', 'b1!', 'c1!', 'd1!', 'e1!', 'f1', 'g1'],
    more: { aloneMax: 5 },
    taken: ['alone a1!', 'alone b1!', 'alone c1!', 'alone d1!', 'alone e1!', 'quick f1 g1'],
  },
  {
    of: 'alone on two tables, of which one is busy',
    waiting: ['a1:50', 'ab1!', 'b1', 'c1', 'd1'],
    taken: ['slow a1:50', 'quick c1 d1'],
  },
]

for (const { of, waiting, more, taken } of cases) {
  t.test(of, async (t) => t.strictSame(takeAll(lanesOf(waiting, more)).told, taken))
}

t.test('a table in flight is taken again when it is free, and the circle goes on', async (t) => {
  const lanes = lanesOf(['a1', 'a2', 'b1', 'b2', 'c1'], { unitsMax: 2 })
  const [first, second] = takeAll(lanes).batches
  if (first === undefined || second === undefined) throw new Error('two batches were taken')
  t.strictSame([tell(first), tell(second)], ['quick a1 b1', 'slow c1'])
  lanes.add(work('c2'))
  lanes.finish(second)
  t.strictSame(takeAll(lanes).told, ['slow c2'])
  lanes.finish(first)
  t.strictSame(takeAll(lanes).told, ['quick a2 b2'])
})

t.test('what met a held table goes first, by itself, and waits', async (t) => {
  const lanes = lanesOf(['a1', 'a2', 'b1', 'c1'])
  const [batch] = takeAll(lanes).batches
  if (batch === undefined) throw new Error('a batch was taken')
  lanes.add(work('a3'))
  lanes.finish(
    batch,
    batch.turns.filter(({ tables }) => tables[0] !== 'c'),
  )
  t.equal(lanes.waiting, 4)
  t.strictSame(takeAll(lanes).told, ['slow a1 a2 a3', 'slow b1'])
})

t.test('the tables that are waited for leave a place, whatever their number', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e']
  const lanes = lanesOf(names)
  const [batch] = takeAll(lanes).batches
  if (batch === undefined) throw new Error('a batch was taken')
  lanes.finish(batch, batch.turns)
  lanes.add(work('x'))
  t.strictSame(takeAll(lanes).told, ['slow a', 'slow b', 'slow c', 'quick x'])
})

t.test('a table that has no place to wait is tried again, with one turn', async (t) => {
  const lanes = lanesOf(['a1', 'b1', 'c1', 'd1', 'd2', 'e1:50'])
  const { batches, told } = takeAll(lanes)
  t.strictSame(told, ['slow e1:50', 'quick a1 b1 c1 d1 d2'])
  const [large, batch] = batches
  if (large === undefined || batch === undefined) throw new Error('two batches were taken')
  lanes.finish(batch, batch.turns)
  const waits = takeAll(lanes)
  t.strictSame(waits.told, ['slow a1', 'slow b1'])
  t.equal(lanes.tryHeld(), true)
  const [tried] = takeAll(lanes).batches
  if (tried === undefined) throw new Error('a batch was taken')
  t.equal(tell(tried), 'quick c1 d1')
  lanes.finish(
    tried,
    tried.turns.filter(({ name }) => name === 'c1'),
  )
  t.strictSame(takeAll(lanes).told, ['quick d2'], 'd is held no more, c is')
})

const grown: {
  of: string
  first: string[]
  later: string[]
  more?: Partial<typeof limits>
  taken: string
}[] = [
  {
    of: 'what has come to its table',
    first: ['a1'],
    later: ['a2', 'b1', 'a3'],
    taken: 'slow a1 a2 a3',
  },
  {
    of: 'as many as it has room for',
    first: ['a1', 'a2'],
    later: ['a3', 'a4'],
    more: { unitsMax: 3 },
    taken: 'slow a1 a2 a3',
  },
  {
    of: 'nothing when it is closed',
    first: ['a1:60', 'a2:60'],
    later: ['a3'],
    taken: 'slow a1:60 a2:60',
  },
  { of: 'nothing that is to be alone', first: ['a1'], later: ['a2!', 'a3'], taken: 'slow a1' },
  { of: 'nothing on two tables', first: ['a1'], later: ['a2', 'ab1', 'a3'], taken: 'slow a1 a2' },
  { of: 'nothing when it is quick', first: ['a1', 'b1'], later: ['a2'], taken: 'quick a1 b1' },
  { of: 'nothing when it is alone', first: ['a1!'], later: ['a2'], taken: 'alone a1!' },
]

for (const { of, first, later, more, taken } of grown) {
  t.test(`a batch in flight takes in ${of}`, async (t) => {
    const lanes = lanesOf(first, more)
    const [batch] = takeAll(lanes).batches
    if (batch === undefined) throw new Error('a batch was taken')
    for (const name of later) lanes.add(work(name))
    const before = tell(batch)
    t.equal([before, ...lanes.takeIn(batch).map(({ name }) => name)].join(' '), taken)
    t.equal(tell(batch), taken)
    t.equal(lanes.inFlight, batch.turns.length)
    t.equal(lanes.waiting, first.length + later.length - batch.turns.length)
  })
}

t.test('when the wait was in vain, those that waited as long are given up', async (t) => {
  const lanes = lanesOf(['a', 'b', 'c', 'd', 'e'])
  const [batch] = takeAll(lanes).batches
  if (batch === undefined) throw new Error('a batch was taken')
  lanes.finish(batch, batch.turns)
  const [slow] = takeAll(lanes).batches
  if (slow === undefined) throw new Error('a batch was taken')
  for (const name of ['f', 'g']) lanes.add(work(name))
  const [later] = takeAll(lanes).batches
  if (later === undefined) throw new Error('a batch was taken')
  lanes.finish(later, later.turns)
  t.strictSame(
    lanes
      .giveUpHeld(slow)
      .map(({ name }) => name)
      .sort(),
    ['d', 'e'],
  )
  lanes.finish(slow)
  t.strictSame(takeAll(lanes).told, ['slow f'])
  t.equal(lanes.waiting, 1, 'g waits for its place')
})

t.test('five thousand that wait for one table delay one on another by no batch', async (t) => {
  const lanes = new Lanes<Work>({ ...limits, unitsMax: 1000, actionsMax: 20_000 })
  for (let number = 0; number < 5000; number += 1) lanes.add(work(`a${number}`))
  const [first] = takeAll(lanes).batches
  t.equal(first?.turns.length, 1000)
  lanes.add(work('b1'))
  t.strictSame(takeAll(lanes).told, ['slow b1'], 'beside the batch in flight')
})

t.test('nor when both are in the same batch', async (t) => {
  const lanes = new Lanes<Work>({
    ...limits,
    batchesMax: 1,
    quickMax: 1,
    unitsMax: 1000,
    actionsMax: 20_000,
  })
  for (let number = 0; number < 5000; number += 1) lanes.add(work(`a${number}`))
  lanes.add(work('b1'))
  const [first] = takeAll(lanes).batches
  t.equal(first?.turns.length, 501, 'half for each table')
  t.equal(first?.turns.at(-1)?.name, 'b1')
})
