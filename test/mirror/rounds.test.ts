import t from 'tap'
import type { Standing } from '../../src/mirror/breaker.ts'
import type { Published } from '../../src/mirror/publish-tables.ts'
import { type Round, Rounds } from '../../src/mirror/rounds.ts'

const store = 'local'
const done: Published = { kind: 'published', store, versions: 1, more: false }
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
  t.strictSame(first, { tableIds: ['a', 'b'], isUnsound: false, store })
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
  t.strictSame(
    apart,
    ['a', 'b'].map((id) => ({ tableIds: [id], isUnsound: true, store: undefined })),
  )
  end(rounds, apart[0], failed)
  end(rounds, apart[1], done)
  rounds.add(['a', 'b'])
  t.strictSame(takeAll(rounds), [
    { tableIds: ['b'], isUnsound: false, store },
    { tableIds: ['a'], isUnsound: true, store: undefined },
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
      ['a', { kind: 'published', store, versions: 0, more: true }],
      ['b', { kind: 'published', store, versions: 2, more: true }],
    ]),
  )
  const taken = takeAll(rounds)
  t.strictSame(taken, [
    { tableIds: ['b'], isUnsound: false, store },
    { tableIds: ['a'], isUnsound: false, store: undefined },
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
    { tableIds: ['c'], store },
    { tableIds: ['b'], store: undefined },
  ])
  t.equal(rounds.take(standingOf), undefined)
  for (const round of taken) end(rounds, round, done)
  t.match(takeAll(rounds), [{ tableIds: ['a'] }, { tableIds: ['new'] }], 'the rest is kept')
})
