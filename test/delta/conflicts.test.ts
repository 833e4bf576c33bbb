import t from 'tap'
import { relevantActions, toCandidate } from '../../src/delta/conflicts/candidate.ts'
import { effectiveLevel, requestedLevel } from '../../src/delta/conflicts/isolation.ts'
import { findConflict } from '../../src/delta/conflicts.ts'
import type { ConflictCase } from './cases/conflicts/case.ts'
import { deltaRsCases } from './cases/conflicts/delta-rs.ts'
import { featureEnablementCases } from './cases/conflicts/feature-enablement.ts'
import { fetched } from './cases/conflicts/fetched.ts'
import { identityColumnCases } from './cases/conflicts/identity-columns.ts'
import { kernelCases } from './cases/conflicts/kernel.ts'
import { optimisticTransactionCases } from './cases/conflicts/optimistic-transaction.ts'
import { optimisticTransactionLegacyCases } from './cases/conflicts/optimistic-transaction-legacy.ts'
import { ownCases } from './cases/conflicts/own.ts'
import { otherSparkCases } from './cases/conflicts/spark-others.ts'

const cases = [
  ...optimisticTransactionCases,
  ...optimisticTransactionLegacyCases,
  ...featureEnablementCases,
  ...identityColumnCases,
  ...otherSparkCases,
  ...deltaRsCases,
  ...kernelCases,
  ...ownCases,
]

function candidateOf({ actions, operation, reads, level, read }: ConflictCase) {
  const requested = requestedLevel(level, read.metadata.configuration)
  const isolationLevel = effectiveLevel(requested, { actions, operation })
  return toCandidate({ actions, reads, isolationLevel })
}

for (const one of cases) {
  const outcome = one.expected?.[0] ?? 'no conflict'
  const there = one.differs === undefined ? '' : ` (there ${one.differs})`
  t.test(`${one.name} - ${outcome}${there}`, async (t) => {
    const candidate = candidateOf(one)
    const conflict = findConflict(candidate, one.winners, one.read)
    const [code, facts, at = 0] = one.expected ?? []
    t.equal(conflict?.code, code, conflict?.message ?? 'no conflict')
    if (conflict && facts) t.hasStrict(conflict.facts, facts)
    if (conflict) {
      const { version, operation, inCommitTimestamp } = one.winners[at] ?? {}
      t.strictSame(conflict.winner, { version, operation, inCommitTimestamp })
      t.ok(conflict.message.startsWith(`Version ${version} (${operation}) `), conflict.message)
      t.notMatch(conflict.message, /undefined|\[object|\bNaN\b/)
    }
    const relevant = relevantActions(candidate)
    const winners = one.winners.map((winner) => fetched(winner, relevant))
    t.strictSame(findConflict(candidate, winners, one.read), conflict, 'what is fetched will do')
  })
}

t.test('no case stands twice', async (t) => {
  const names = cases.map((one) => one.name)
  t.equal(new Set(names).size, names.length)
})
