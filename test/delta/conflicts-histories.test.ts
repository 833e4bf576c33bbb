import fc from 'fast-check'
import t from 'tap'
import { relevantActions, toCandidate } from '../../src/delta/conflicts/candidate.ts'
import { type Winner, winnerOf } from '../../src/delta/conflicts/winner.ts'
import { findConflict } from '../../src/delta/conflicts.ts'
import { where } from './cases/conflicts/case.ts'
import { fetched } from './cases/conflicts/fetched.ts'
import {
  actionsOf,
  emptyTable,
  isBlind,
  judge,
  type ModelCandidate,
  type ModelTable,
  type ModelWinner,
  play,
  rowsRead,
} from './cases/conflicts/model.ts'
import { metadata, protocol } from './support.ts'

const paths = ['0/a', '0/b', '0/c', '1/a', '1/b', '1/c']
const appIds = ['x', 'y']
const domains = ['d', 'delta.rowTracking']
const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(undefined) }, value)
const few = (names: string[]) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant<string[]>([]) }, fc.subarray(names))

const steps = {
  files: fc.dictionary(fc.constantFrom(...paths), fc.constantFrom('add', 'update', 'remove'), {
    maxKeys: 3,
  }),
  appIds: few(appIds),
  domains: few(domains),
  metadata: seldom(fc.constantFrom('renamed', 'vectors')),
  protocol: seldom(fc.constantFrom('vectors', 'unknown')),
}

const winner: fc.Arbitrary<ModelWinner> = fc.record({ ...steps, hasRead: fc.boolean() })

const candidate: fc.Arbitrary<ModelCandidate> = fc.record({
  ...steps,
  level: fc.constantFrom('Serializable', 'WriteSerializable', 'SnapshotIsolation'),
  wholeTable: fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, fc.constant(true)),
  parts: few(['0', '1']),
  filesRead: few(paths),
  appIdsRead: few(appIds),
  domainsRead: few(domains),
})

const history = fc.record({
  live: fc.subarray(paths),
  winners: fc.array(winner, { maxLength: 4 }),
  candidate,
})

const readState = {
  protocol: protocol('deletionVectors'),
  metadata: metadata({ partitionColumns: ['part'] }),
}

function winnersOf(read: ModelTable, winners: readonly ModelWinner[]): Winner[] {
  let table = read
  return winners.map((winner) => {
    const actions = actionsOf(table, winner)
    const isBlindAppend = isBlind(table, winner)
    table = play(table, winner)
    const identity = { version: table.version, operation: 'WRITE', inCommitTimestamp: 0 }
    return winnerOf({ ...identity, isBlindAppend }, actions)
  })
}

function candidateOf(read: ModelTable, model: ModelCandidate) {
  return toCandidate({
    actions: actionsOf(read, model),
    isolationLevel: model.level,
    reads: {
      wholeTable: model.wholeTable,
      predicates: model.parts.map((part) => where('part', (value) => value === part)),
      files: new Set(model.filesRead),
      appIds: new Set(model.appIdsRead),
      domains: new Set(model.domainsRead),
    },
  })
}

function histories(
  holds: (read: ModelTable, winners: readonly ModelWinner[], candidate: ModelCandidate) => boolean,
): void {
  const property = fc.property(history, ({ live, winners, candidate }) =>
    holds(emptyTable(4, live), winners, candidate),
  )
  fc.assert(property, { numRuns: 1500 })
}

function conflictIn(read: ModelTable, winners: readonly Winner[], candidate: ModelCandidate) {
  const conflict = findConflict(candidateOf(read, candidate), winners, readState)
  return conflict && { code: conflict.code, version: conflict.winner.version }
}

t.test('the checks find what the definitions say, and name the same winner', async (t) => {
  const seen = new Set<string>()
  histories((read, winners, candidate) => {
    const expected = judge(candidate, read, winners)
    seen.add(`${expected?.code} ${candidate.level}`)
    const found = conflictIn(read, winnersOf(read, winners), candidate)
    return found?.code === expected?.code && found?.version === expected?.version
  })
  t.equal(seen.size, 3 * 8 - 1, `every outcome at every level: ${[...seen].sort().join(', ')}`)
})

t.test('what is named as relevant is enough to judge by', async () => {
  histories((read, winners, candidate) => {
    const whole = winnersOf(read, winners)
    const relevant = relevantActions(candidateOf(read, candidate))
    const parts = whole.map((one) => {
      const part = fetched(one, relevant)
      if (!candidate.wholeTable) return part
      return { ...part, adds: part.adds.slice(-1), removes: new Map([...part.removes].slice(-1)) }
    })
    const [expected, found] = [
      conflictIn(read, whole, candidate),
      conflictIn(read, parts, candidate),
    ]
    return found?.code === expected?.code && found?.version === expected?.version
  })
})

function isSubset(some: ReadonlySet<string>, all: ReadonlySet<string>): boolean {
  return [...some].every((name) => all.has(name))
}

function sameRows(candidate: ModelCandidate, read: ModelTable, other: ModelTable): boolean {
  const [mine, theirs] = [rowsRead(candidate, read), rowsRead(candidate, other)]
  return mine.size === theirs.size && isSubset(mine, theirs)
}

t.test('a commit that is let through fits behind its winners', async (t) => {
  let count = 0
  histories((read, winners, { filesRead, ...rest }) => {
    const candidate = { ...rest, filesRead: filesRead.filter((path) => read.files.has(path)) }
    if (conflictIn(read, winnersOf(read, winners), candidate) !== undefined) return true
    count += 1
    const head = winners.reduce((table, one) => play(table, one), read)
    if (candidate.level === 'Serializable') return sameRows(candidate, read, head)
    if (candidate.level === 'SnapshotIsolation') {
      return isSubset(rowsRead(candidate, read), rowsRead(candidate, head))
    }
    const withoutBlindAppends = winners.reduce(
      (table, one) => play(table, one, !isBlind(table, one)),
      read,
    )
    return sameRows(candidate, read, withoutBlindAppends)
  })
  t.ok(count > 300, `${count} were let through`)
})
