import t from 'tap'
import type { Standing } from '../../src/mirror/breaker.ts'
import type { Published } from '../../src/mirror/publish-tables.ts'
import { type Round, Rounds } from '../../src/mirror/rounds.ts'

const store = 'local'
const done = { kind: 'published', store, versions: 1, ahead: 0, more: false } satisfies Published
const failed: Published = {
  kind: 'failed',
  store,
  failure: 'storage-unavailable',
  error: 'no',
}

function takeAll(rounds: Rounds): Round[] {
  const taken: Round[] = []
  for (let round = rounds.take(); round !== undefined; round = rounds.take()) taken.push(round)
  return taken
}

function end(rounds: Rounds, round: Round | undefined, result: Published | undefined): void {
  if (round === undefined) throw new Error('no round was taken')
  const results = new Map(round.tableIds.map((id) => [id, result as Published]))
  rounds.end(round, result === undefined ? undefined : results)
}

/** Rounds in which these tables are known to be sound. */
function roundsWith(tables: readonly string[]): Rounds {
  const rounds = new Rounds()
  for (const table of tables) {
    rounds.add([table])
    end(rounds, rounds.take(), done)
  }
  return rounds
}

t.test('tables that are not known go by themselves, a few at a time', async (t) => {
  const rounds = new Rounds()
  rounds.add(['a', 'b', 'c', 'd'])
  const taken = takeAll(rounds)
  t.strictSame(
    taken.map(({ tableIds }) => tableIds),
    [['a'], ['b'], ['c']],
  )
  t.ok(taken.every(({ isUnsound }) => isUnsound))
  end(rounds, taken[1], done)
  t.match(takeAll(rounds), [{ tableIds: ['d'] }])
})

t.test('tables that went well go together, one round at a time, which gathers', async (t) => {
  const rounds = roundsWith(['a', 'b', 'c'])
  rounds.add(['a', 'b'])
  const [first, ...more] = takeAll(rounds)
  t.strictSame(first, {
    kind: 'together',
    tableIds: ['a', 'b'],
    isUnsound: false,
    isWhole: false,
    stores: [store],
  })
  t.strictSame(more, [])
  rounds.add(['a', 'c', 'new'])
  t.match(takeAll(rounds), [{ tableIds: ['new'] }])
  end(rounds, first, done)
  t.match(takeAll(rounds), [{ tableIds: ['a', 'c'] }])
})

t.test('what failed goes by itself until it goes well', async (t) => {
  const rounds = roundsWith(['a', 'b'])
  rounds.add(['a', 'b'])
  end(rounds, rounds.take(), undefined)
  rounds.add(['a', 'b'])
  const apart = takeAll(rounds)
  t.match(
    apart,
    ['a', 'b'].map((id) => ({ kind: 'single', tableIds: [id], isUnsound: true, isWhole: true })),
  )
  end(rounds, apart[0], failed)
  end(rounds, apart[1], done)
  rounds.add(['a', 'b'])
  t.match(takeAll(rounds), [
    { kind: 'together', tableIds: ['b'], isUnsound: false },
    { kind: 'single', tableIds: ['a'], isUnsound: true },
  ])
})

t.test('what is too large for a round with others goes by itself, once', async (t) => {
  const rounds = roundsWith(['a', 'b'])
  rounds.add(['a', 'b'])
  const first = rounds.take()
  if (first === undefined) throw new Error('no round was taken')
  rounds.end(
    first,
    new Map<string, Published>([
      ['a', { ...done, versions: 0, more: true }],
      ['b', { ...done, versions: 2, more: true }],
    ]),
  )
  const taken = takeAll(rounds)
  t.match(taken, [
    { kind: 'together', tableIds: ['b'], isWhole: false },
    { kind: 'single', tableIds: ['a'], isWhole: true, isUnsound: false },
  ])
  for (const round of taken) end(rounds, round, done)
  rounds.add(['a', 'b'])
  t.match(takeAll(rounds), [{ tableIds: ['a', 'b'] }])
})

t.test('each store has rounds of its own, and this machine is never without a place', async (t) => {
  const rounds = new Rounds()
  const tables = ['s3://a/1', 's3://a/2', 's3://b/1', 's3://c/1', 'local/1', 'local/2']
  for (const table of tables) {
    rounds.add([table])
    end(rounds, rounds.take(), { ...done, store: table.replace(/\/\d$/, '') })
  }
  rounds.add(tables)
  const taken = takeAll(rounds)
  t.strictSame(
    taken.map(({ tableIds }) => tableIds),
    [['s3://a/1', 's3://a/2'], ['s3://b/1'], ['local/1', 'local/2']],
  )
  end(rounds, taken[1], done)
  t.match(takeAll(rounds), [{ tableIds: ['s3://c/1'] }])
})

t.test('a round with others is bounded', async (t) => {
  const names = Array.from({ length: 150 }, (_, index) => `t${index}`)
  const rounds = roundsWith(names)
  rounds.add(names)
  const first = rounds.take()
  t.equal(first?.tableIds.length, 128)
  end(rounds, first, done)
  t.equal(rounds.take()?.tableIds.length, 22)
})

t.test('what failed leaves a place to what has not', async (t) => {
  const rounds = new Rounds()
  for (const table of ['a', 'b', 'c']) {
    rounds.add([table])
    end(rounds, rounds.take(), failed)
  }
  rounds.add(['a', 'b', 'c', 'new'])
  const taken = takeAll(rounds).map(({ tableIds }) => tableIds)
  t.strictSame(taken, [['a'], ['b'], ['new']])
})

t.test('of a store that rests no table is taken, and one alone to probe it', async (t) => {
  const rounds = roundsWith(['a', 'b', 'c'])
  const standings: Record<string, Standing> = { a: 'rests', b: 'probe', c: 'works', new: 'rests' }
  const standingOf = (table: string) => standings[table] ?? 'works'
  rounds.add(['a', 'b', 'c', 'new'])
  const taken = [rounds.take(standingOf), rounds.take(standingOf)]
  t.match(taken, [
    { kind: 'together', tableIds: ['c'] },
    { kind: 'single', tableIds: ['b'] },
  ])
  t.equal(rounds.take(standingOf), undefined)
  for (const round of taken) end(rounds, round, done)
  t.match(takeAll(rounds), [{ tableIds: ['a'] }, { tableIds: ['new'] }], 'the rest is kept')
})

const heldFor = (...awaits: string[]): Published => ({ kind: 'held', store, awaits })

/** Rounds in which the first of these tables waits for the others at a transaction. */
function roundsHeld(tables: readonly string[]): Rounds {
  const rounds = roundsWith(tables)
  const [first = ''] = tables
  rounds.add([first])
  end(rounds, rounds.take(), heldFor(...tables))
  return rounds
}

t.test('tables that wait for each other go in one round, with all of them or not', async (t) => {
  const rounds = roundsHeld(['a', 'b', 'c'])
  rounds.add(['c'])
  const [joint, ...more] = takeAll(rounds)
  t.match(joint, { kind: 'joint', tableIds: ['a', 'b', 'c'], isWhole: false, stores: [store] })
  t.strictSame(more, [])
  end(rounds, joint, done)
  t.strictSame(takeAll(rounds), [])
})

t.test('who waits for a table that is at work waits until it has done', async (t) => {
  const rounds = roundsHeld(['a', 'b'])
  rounds.add(['c', 'b'])
  // What waits is taken first, and so leaves the other two to a round of their own.
  const [joint, together] = takeAll(rounds)
  t.match([joint, together], [{ tableIds: ['a', 'b'] }, { kind: 'single', tableIds: ['c'] }])
  rounds.add(['a', 'b'])
  t.strictSame(takeAll(rounds), [])
  end(rounds, joint, done)
  t.match(takeAll(rounds), [{ kind: 'together', tableIds: ['a', 'b'] }])
})

t.test('who waited in vain is tried again when another has moved', async (t) => {
  for (const [moved, isTried] of [
    [done, true],
    [failed, true],
    [{ ...failed, kind: 'forked' } as Published, true],
    [{ ...done, versions: 0 }, false],
    [{ kind: 'idle' } as Published, false],
    [undefined, false],
  ] as const) {
    const rounds = roundsHeld(['a', 'b'])
    const joint = rounds.take()
    if (joint === undefined) throw new Error('both are free')
    rounds.end(
      joint,
      new Map<string, Published>([
        ['a', heldFor('a', 'b')],
        ['b', { kind: 'idle' }],
      ]),
    )
    t.strictSame(takeAll(rounds), [], 'nothing has changed')
    rounds.add(['b'])
    const own = rounds.take()
    t.match(own, { tableIds: ['b'] })
    end(rounds, own, moved)
    t.match(takeAll(rounds), isTried ? [{ kind: 'joint', tableIds: ['a', 'b'] }] : [])
  }
})

/** Rounds in which of each of these sets the first table waits for the others. The store of a table is its name up to "-". */
function roundsHeldIn(...sets: string[][]): Rounds {
  const rounds = new Rounds()
  for (const table of sets.flat()) {
    rounds.add([table])
    end(rounds, rounds.take(), { ...done, store: table.replace(/-.*/, '') })
  }
  const awaits = new Map(sets.map((set) => [set[0] ?? '', set]))
  for (const [first, set] of awaits) {
    rounds.add([first])
    end(rounds, rounds.take(), { ...done, store: first.replace(/-.*/, ''), awaits: set })
  }
  rounds.add([...awaits.keys()])
  return rounds
}

t.test('those that wait in the same stores wait in one round', async (t) => {
  const pairs = [1, 2, 3].map((number) => [`here-${number}`, `there-${number}`])
  const rounds = roundsHeldIn(...pairs, ['here-4', 'elsewhere-1'])
  t.strictSame(
    takeAll(rounds).map(({ tableIds }) => tableIds),
    [pairs.flat(), ['here-4', 'elsewhere-1']],
  )
})

t.test(
  'what is too large for a round with others goes with those alone that it waits for',
  async (t) => {
    const rounds = roundsHeld(['a', 'b'])
    const joint = rounds.take()
    t.match(joint, { isWhole: false })
    end(rounds, joint, { ...done, versions: 0, more: true, awaits: ['a', 'b'] })
    t.match(takeAll(rounds), [{ kind: 'joint', tableIds: ['a', 'b'], isWhole: true }])
  },
)

t.test('where a store is left alone, nobody waits for its tables', async (t) => {
  const rounds = roundsHeld(['a', 'b'])
  const away = (table: string): Standing => (table === 'b' ? 'rests' : 'works')
  t.match(rounds.take(away), { kind: 'together', tableIds: ['a'] })
})

t.test('of rounds of tables that wait for each other there are a few at a time', async (t) => {
  const stores = ['local', 's3://a', 's3://b', 's3://c']
  const rounds = roundsHeldIn(...stores.map((one) => [`${one}-1`, `${one}-2`]))
  const taken = takeAll(rounds)
  t.strictSame(
    taken.map((round) => round.stores),
    [['local'], ['s3://a'], ['s3://b']],
  )
  end(rounds, taken[1], done)
  t.match(takeAll(rounds), [{ kind: 'joint', stores: ['s3://c'] }])
})
