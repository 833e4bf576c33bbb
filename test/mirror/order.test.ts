import t from 'tap'
import { Meetings } from '../../src/mirror/meetings.ts'
import { planOrder, type Span, type WaitingPart } from '../../src/mirror/order.ts'

/**
 * Tables in a line of their own each: `a: . T1 .` has three versions that wait, and the second is a part of T1. A table in
 * brackets waits, but is not in the round; a table with `!` is not waited for.
 */
interface Scene {
  spans: Span[]
  parts: WaitingPart[]
}

function read(text: string): Scene {
  const spans: Span[] = []
  const parts: WaitingPart[] = []
  for (const line of text.trim().split('\n')) {
    const [, open = '', tableId = '', bang = '', rest = ''] =
      /^\s*(\[?)(\w+)(!?)\]?:\s*(.*)$/.exec(line) ?? []
    const versions = rest.split(/\s+/).filter((word) => word !== '')
    if (open === '') spans.push({ tableId, publishedVersion: -1, to: versions.length - 1 })
    for (const [version, word] of versions.entries()) {
      if (word === '.') continue
      parts.push({ transactionId: word, tableId, version, isAwaited: bang === '' })
    }
  }
  return { spans, parts }
}

/** How many versions of each table may be published. */
function lengths({ spans, parts }: Scene): Record<string, number> {
  const plan = planOrder(spans, parts)
  return Object.fromEntries(
    spans.map(({ tableId }) => [tableId, (plan.get(tableId)?.to ?? -9) + 1]),
  )
}

const cases: [name: string, scene: string, published: Record<string, number>][] = [
  ['tables without transactions go to their ends', 'a: . . .\nb: .', { a: 3, b: 1 }],
  ['a transaction of one table holds up nothing', 'a: . T .', { a: 3 }],
  ['tables that can meet do, and go on', 'a: . T .\nb: T . .', { a: 3, b: 3 }],
  ['who cannot meet stops before', 'a: . T .\n[b]: T', { a: 1 }],
  ['a third one stops two', 'a: T .\nb: . T\n[c]: T', { a: 0, b: 1 }],
  ['what stops one stops who meets it later', 'a: . S T\nb: . T .\n[c]: S', { a: 1, b: 1 }],
  ['a chain is followed to its end', 'a: R . T\nb: S R\nc: S . T', { a: 3, b: 2, c: 3 }],
  ['a table that is not waited for holds up none', 'a: . T .\n[b!]: T', { a: 3 }],
  ['also when it is tried in this round', 'a: . T .\nb!: . T', { a: 3, b: 1 }],
  ['it waits for the others itself', 'b!: . T .\n[a]: T', { b: 1 }],
  ['of those that nobody waits for, each goes by itself', 'a!: T .\nb!: . T', { a: 2, b: 2 }],
  ['what is far behind is waited for', 'a: T\n[b]: . . . . . . T', { a: 0 }],
  ['one after the other', 'a: Q R S T\nb: Q R S T', { a: 4, b: 4 }],
  ['with another between', 'a: Q R S T\nb: Q S T\n[c]: R', { a: 1, b: 1 }],
  ['no circle is ever gone around', 'a: S T\nb: T S', { a: 0, b: 0 }],
]

for (const [name, scene, published] of cases) {
  t.test(name, async (t) => t.strictSame(lengths(read(scene)), published))
}

t.test('versions are told from where a table is', async (t) => {
  const spans = [
    { tableId: 'a', publishedVersion: 7, to: 9 },
    { tableId: 'b', publishedVersion: 2, to: 3 },
  ]
  const part = { transactionId: 'T', isAwaited: true }
  const plan = planOrder(spans, [
    { ...part, tableId: 'a', version: 9 },
    { ...part, tableId: 'b', version: 4 },
    { ...part, tableId: 'c', version: 1, isAwaited: false },
  ])
  t.strictSame(plan.get('b'), { to: 3, shared: new Map() }, 'its part is behind the span')
  const shared = new Map([[9, { transactionId: 'T', others: ['b'], isAhead: true }]])
  t.strictSame(plan.get('a'), { to: 8, shared })
})

/** A random history: each transaction takes the next version of all its tables, as commits do. */
function randomScene(random: (below: number) => number): Scene {
  const tables = Array.from({ length: 1 + random(6) }, (_, index) => `t${index}`)
  const isAwaited = new Map(tables.map((table) => [table, random(5) > 0]))
  const inRound = new Set(tables.filter(() => random(6) > 0))
  const versions = new Map(tables.map((table) => [table, 0]))
  const parts: WaitingPart[] = []
  for (let number = 0; number < 25; number += 1) {
    const count = random(3) === 0 ? 1 + random(3) : 1
    const chosen = new Set(Array.from({ length: count }, () => tables[random(tables.length)] ?? ''))
    for (const tableId of chosen) {
      const version = versions.get(tableId) ?? 0
      versions.set(tableId, version + 1)
      if (count === 1) continue
      const waits = isAwaited.get(tableId) ?? true
      parts.push({ transactionId: `T${number}`, tableId, version, isAwaited: waits })
    }
  }
  const published = new Map(
    tables.map((table) => [table, random(3) === 0 ? random(versions.get(table) ?? 1) - 1 : -1]),
  )
  const waiting = parts.filter((one) => one.version > (published.get(one.tableId) ?? -1))
  const spans = [...inRound].map((tableId) => {
    const publishedVersion = published.get(tableId) ?? -1
    const newest = (versions.get(tableId) ?? 0) - 1
    return { tableId, publishedVersion, to: Math.max(publishedVersion, newest - random(4)) }
  })
  return { spans, parts: waiting }
}

/** The rule as it is said: what may be published next is, one step after the other, until nothing may. */
function modelOf({ spans, parts }: Scene): Map<string, number> {
  const at = new Map(spans.map(({ tableId, publishedVersion }) => [tableId, publishedVersion]))
  const last = new Map(spans.map(({ tableId, to }) => [tableId, to]))
  const isNext = ({ tableId, version }: WaitingPart) =>
    at.get(tableId) === version - 1 && version <= (last.get(tableId) ?? -1)
  for (let before = ''; before !== JSON.stringify([...at]); ) {
    before = JSON.stringify([...at])
    for (const [tableId, version] of at) {
      if (version === last.get(tableId)) continue
      const part = parts.find((one) => one.tableId === tableId && one.version === version + 1)
      const waitedFor = parts.filter(
        (one) =>
          one.transactionId === part?.transactionId && one.isAwaited && one.tableId !== tableId,
      )
      if (!waitedFor.every(isNext)) continue
      if (part?.isAwaited === false && waitedFor.length > 0) continue
      for (const one of [tableId, ...waitedFor.map((other) => other.tableId)]) {
        at.set(one, (at.get(one) ?? 0) + 1)
      }
    }
  }
  return at
}

t.test('the plan is that of the rule, step by step, in random histories', async (t) => {
  const seed = Number(process.env['ORDER_SEED'] ?? Date.now() % 1e9)
  t.comment(`ORDER_SEED=${seed}`)
  let state = seed
  const random = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
  let [cut, shared] = [0, 0]
  for (let round = 0; round < 3000; round += 1) {
    const scene = randomScene(random)
    const plan = planOrder(scene.spans, scene.parts)
    const reached = new Map([...plan].map(([tableId, { to }]) => [tableId, to]))
    const expected = modelOf(scene)
    if (JSON.stringify([...reached]) !== JSON.stringify([...expected])) {
      t.strictSame(reached, expected, JSON.stringify(scene))
      return
    }
    cut += scene.spans.filter(({ tableId, to }) => reached.get(tableId) !== to).length
    shared += [...plan.values()].reduce((sum, one) => sum + one.shared.size, 0)
  }
  t.ok(cut > 1000 && shared > 10_000, `${cut} tables stopped, ${shared} versions shared`)
})

/** What `wait` has come to once all that can happen has. */
async function settled<Value>(wait: Promise<Value>): Promise<Value | 'waits'> {
  await new Promise(setImmediate)
  return Promise.race([wait, Promise.resolve<'waits'>('waits')])
}

const together = () => {
  const { spans, parts } = read('a: T .\nb: . T')
  const meetings = new Meetings(planOrder(spans, parts))
  return [meetings.turns('a'), meetings.turns('b')] as const
}

t.test(
  'files of a transaction appear once all are ready, and nothing before all have',
  async (t) => {
    const [a, b] = together()
    const first = a.before(0)
    t.equal(await settled(b.before(0)), true, 'what is shared with none need not wait')
    t.equal(await settled(b.after(0)), true)
    t.equal(await settled(first), 'waits')
    t.equal(await settled(b.before(1)), true)
    t.equal(await settled(first), true)
    const appeared = a.after(0)
    t.equal(await settled(appeared), 'waits', 'its next version must not come before')
    t.equal(await settled(b.after(1)), true)
    t.equal(await settled(appeared), true)
  },
)

t.test('who never comes is not waited for', async (t) => {
  const [a, b] = together()
  const first = a.before(0)
  b.end()
  t.equal(await settled(first), false)
})

t.test('nothing follows a transaction of which a file is missing', async (t) => {
  const [a, b] = together()
  t.strictSame(await Promise.all([a.before(0), b.before(1)]), [true, true])
  const appeared = a.after(0)
  b.end()
  t.equal(await settled(appeared), false)
})

t.test('who has come to its end has kept nobody waiting', async (t) => {
  const [a, b] = together()
  await Promise.all([a.before(0), b.before(1)])
  t.strictSame(await Promise.all([a.after(0), b.after(1)]), [true, true])
  a.end()
  b.end()
})
