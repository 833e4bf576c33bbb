import t from 'tap'
import type { ListOperation, ListTransaction } from './list-append.ts'
import { checkTransactions, type Level } from './serializability.ts'

interface Facts {
  outcome?: ListTransaction['outcome']
  at?: [call: number, end: number]
}

/** A transaction as text: `r x 1 2` reads 1 and 2 in x, `a x 3` appends 3 to it. All overlap if nothing else is said. */
function transaction(text: string, { outcome = 'committed', at = [0, 9] }: Facts = {}) {
  const operations = text.split(', ').map((one): ListOperation => {
    const [kind, key = '', ...elements] = one.split(' ')
    if (kind === 'a') return { kind: 'append', key, element: Number(elements[0]) }
    return { kind: 'read', key, list: elements.map(Number) }
  })
  const end = outcome === 'unknown' ? Infinity : at[1]
  return { client: text, call: at[0], return: end, outcome, operations }
}

const levels: Level[] = [
  'read-committed',
  'snapshot-isolation',
  'strong-snapshot-isolation',
  'serializable',
  'strict-serializable',
]
/** The levels by what they forbid. */
const all = levels
const snapshots = levels.slice(1)
const serial = levels.slice(3)
const strong: Level[] = ['strong-snapshot-isolation', 'strict-serializable']

interface Case {
  history: ListTransaction[]
  end?: [string, number[]][]
  /** What is answered at the strictest level. */
  kinds: string[]
  words?: string
  forbidden: Level[]
}

const cases: Record<string, Case> = {
  'two that run one after the other': {
    history: [
      transaction('r x, a x 1, r x 1', { at: [0, 1] }),
      transaction('r x 1, a x 2, a x 3, r x 1 2 3', { at: [2, 3] }),
    ],
    end: [['x', [1, 2, 3]]],
    kinds: [],
    forbidden: [],
  },
  'one without outcome that is seen, and one that is not': {
    history: [
      transaction('a x 1', { outcome: 'unknown' }),
      transaction('a x 2', { outcome: 'unknown' }),
      transaction('r x 1', { at: [20, 21] }),
    ],
    end: [['x', [1]]],
    kinds: [],
    forbidden: [],
  },
  'G0: writes in other orders': {
    history: [
      transaction('a x 1, a y 1'),
      transaction('a x 2, a y 2'),
      transaction('r x 1 2, r y 2 1'),
    ],
    kinds: ['G0'],
    words: 'T0 appended 1 to x before T1 appended 2; T1 appended 2 to y before T0 appended 1',
    forbidden: all,
  },
  'G0: a write between two of another': {
    history: [transaction('a x 1, a x 3'), transaction('a x 2'), transaction('r x 1 2 3')],
    kinds: ['G0'],
    forbidden: all,
  },
  'G1a: a read of what was aborted': {
    history: [transaction('a x 1', { outcome: 'aborted' }), transaction('r x 1')],
    kinds: ['G1a'],
    words: 'the read of x by T1 holds 1 of T0, which was aborted',
    forbidden: all,
  },
  'G1b: a read of what was not all': {
    history: [transaction('a x 1, a x 2'), transaction('r x 1'), transaction('r x 1 2')],
    kinds: ['G1b', 'G-single'],
    words: 'the read of x by T1 ends with 1, and T0 appended more to it',
    forbidden: all,
  },
  'G1c: two that read of each other': {
    history: [transaction('a x 1, r y 2'), transaction('a y 2, r x 1')],
    kinds: ['G1c'],
    words: 'T1 read in x the 1 of T0; T0 read in y the 2 of T1',
    forbidden: all,
  },
  'G-single: a read of half a transaction': {
    history: [transaction('a x 1, a y 2'), transaction('r x 1, r y'), transaction('r y 2')],
    kinds: ['G-single'],
    words: 'T1 read y as [], before T0 appended 2; T1 read in x the 1 of T0',
    forbidden: snapshots,
  },
  'G-single: a read that changes within a transaction': {
    history: [transaction('r x, r x 1'), transaction('a x 1')],
    kinds: ['G-single'],
    forbidden: snapshots,
  },
  'lost update: two append to what both have read': {
    history: [transaction('r x 0, a x 1'), transaction('r x 0, a x 2'), transaction('a x 0')],
    end: [['x', [0, 1, 2]]],
    kinds: ['lost update', 'G-single'],
    words: 'T0 and T1 read x as [0], and each appended to it',
    forbidden: snapshots,
  },
  'lost update: nobody has read what came of it': {
    history: [transaction('r x, a x 1'), transaction('r x, a x 2')],
    kinds: ['lost update', 'G2-item'],
    forbidden: snapshots,
  },
  'G-nonadjacent: two that see two others in other orders': {
    history: [
      transaction('a x 1'),
      transaction('a y 2'),
      transaction('r x 1, r y'),
      transaction('r x, r y 2'),
    ],
    kinds: ['G-nonadjacent'],
    forbidden: snapshots,
  },
  'G2-item: write skew': {
    history: [transaction('r x, r y, a x 1'), transaction('r x, r y, a y 2')],
    end: [
      ['x', [1]],
      ['y', [2]],
    ],
    kinds: ['G2-item'],
    words: 'T0 read y as [], before T1 appended 2; T1 read x as [], before T0 appended 1',
    forbidden: serial,
  },
  'G2-item: a read of what three never were at once': {
    history: [transaction('r x, a y 1'), transaction('r y, a z 2'), transaction('r z, a x 3')],
    kinds: ['G2-item'],
    forbidden: serial,
  },
  'G-single in time: a stale read': {
    history: [transaction('a x 1', { at: [0, 1] }), transaction('r x', { at: [2, 3] })],
    kinds: ['G-single-realtime'],
    words: 'T1 read x as [], before T0 appended 1; T0 had returned before T1 was called',
    forbidden: strong,
  },
  'G-single in time: a stale read after others': {
    history: [
      transaction('a x 1', { at: [0, 1] }),
      transaction('r y', { at: [2, 3] }),
      transaction('r z', { at: [4, 5] }),
      transaction('r x', { at: [6, 7] }),
    ],
    kinds: ['G-single-realtime'],
    words: 'T3 read x as [], before T0 appended 1; T0 had returned before T3 was called',
    forbidden: strong,
  },
  'G-single in time: a stale read that begins as another returns': {
    history: [
      transaction('a x 1', { at: [0, 1] }),
      transaction('r y', { at: [2, 3] }),
      transaction('r x', { at: [3, 4] }),
    ],
    kinds: ['G-single-realtime'],
    forbidden: strong,
  },
  'a read that begins as the write returns': {
    history: [transaction('a x 1', { at: [0, 1] }), transaction('r x', { at: [1, 2] })],
    kinds: [],
    forbidden: [],
  },
  'G0 in time: a write that comes before an earlier one': {
    history: [
      transaction('a x 1', { at: [0, 1] }),
      transaction('a x 2', { at: [2, 3] }),
      transaction('r x 2 1', { at: [4, 5] }),
    ],
    kinds: ['G0-realtime'],
    forbidden: strong,
  },
  'G2-item: a reader sees one of two that did not see each other': {
    history: [transaction('r x, r y, a x 1'), transaction('r y, a y 2'), transaction('r x, r y 2')],
    kinds: ['G2-item'],
    forbidden: serial,
  },
  'a read from before that is seen by one that began after': {
    history: [
      transaction('r x, a y 1', { at: [0, 9] }),
      transaction('r y', { at: [3, 8] }),
      transaction('a x 3', { at: [1, 2] }),
    ],
    kinds: ['G2-item-realtime'],
    forbidden: ['strict-serializable'],
  },
  'incompatible orders': {
    history: [
      transaction('a x 1'),
      transaction('a x 2'),
      transaction('r x 1 2'),
      transaction('r x 2'),
    ],
    kinds: ['incompatible orders'],
    words: 'the read of x by T3 is [2], and another [1, 2]',
    forbidden: all,
  },
  'lost element': {
    history: [transaction('a x 1'), transaction('a x 2'), transaction('r x 1')],
    end: [['x', [2]]],
    kinds: ['incompatible orders', 'lost element'],
    words: 'the end of x lacks 1 of T0, which was committed',
    forbidden: all,
  },
  'lost element at the end of a list': {
    history: [transaction('a x 1'), transaction('a x 2'), transaction('r x 1 2')],
    end: [['x', [1]]],
    kinds: ['lost element'],
    forbidden: all,
  },
  'duplicate element': {
    history: [transaction('a x 1'), transaction('r x 1 1')],
    kinds: ['duplicate element'],
    words: 'the read of x by T1 holds 1 twice',
    forbidden: all,
  },
  'garbage read': {
    history: [transaction('r x 7')],
    kinds: ['garbage read'],
    words: 'the read of x by T0 holds 7, which nobody appended',
    forbidden: all,
  },
  'internal: what it has appended is not seen': {
    history: [transaction('a x 1, r x')],
    kinds: ['internal'],
    words: 'the read of x by T0 is [], and does not end with what it had appended',
    forbidden: all,
  },
  'internal: what it appends later is seen': {
    history: [transaction('r x 1, a x 1')],
    kinds: ['internal'],
    forbidden: all,
  },
  'a history that appends an element twice': {
    history: [transaction('a x 1'), transaction('a x 1')],
    kinds: ['duplicate append'],
    words: 'T0 and T1 append 1 to x',
    forbidden: all,
  },
}

for (const [name, { history, end, kinds, words, forbidden }] of Object.entries(cases)) {
  t.test(name, async (t) => {
    const lists = new Map(end)
    const found = checkTransactions(history, 'strict-serializable', lists)
    t.same(found.map(({ kind }) => kind).sort(), [...kinds].sort())
    if (words !== undefined) {
      t.ok(
        found.some((one) => one.words.includes(words)),
        found.map((one) => one.words).join('\n'),
      )
    }
    t.same(
      levels.filter((level) => checkTransactions(history, level, lists).length > 0),
      forbidden,
    )
  })
}

t.test('a cycle is told as short as it is', async (t) => {
  const long = Array.from({ length: 8 }, (_, index) =>
    transaction(`r k${index}, a k${(index + 1) % 8} 1`),
  )
  const short = [transaction('r x, r k0, a y 1'), transaction('r y, r k1, a x 2')]
  const [anomaly, ...others] = checkTransactions([...long, ...short], 'serializable')
  t.equal(others.length, 1, 'two knots')
  t.equal(anomaly?.words.split('; ').length, 8)
  t.equal(others[0]?.words.split('; ').length, 2)
  const tied = [...long, transaction('r x, r k0, a y 1, a k3 9'), ...short.slice(1)]
  const [knot, ...rest] = checkTransactions(tied, 'serializable')
  t.equal(rest.length, 0, 'one knot')
  t.equal(knot?.words.split('; ').length, 2)
})

t.test('ten thousand transactions in a row neither nest too deep nor take long', async (t) => {
  const history = Array.from({ length: 10_000 }, (_, index) => {
    const key = `k${Math.floor(index / 20)}`
    const before = Array.from({ length: index % 20 }, (_, place) => index - (index % 20) + place)
    const text = `r ${[key, ...before].join(' ')}, a ${key} ${index}`
    return transaction(text, { at: [2 * index, 2 * index + 1] })
  })
  t.same(checkTransactions(history, 'strict-serializable'), [])
  const last = transaction('r k0', { at: [20_000, 20_001] })
  const [anomaly] = checkTransactions([...history, last], 'strict-serializable')
  t.equal(
    anomaly?.words,
    'T10000 read k0 as [], before T0 appended 0; T0 had returned before T10000 was called',
  )
})
