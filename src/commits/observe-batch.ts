import type { Metrics } from '../http/metrics.ts'
import { Problem } from '../problems.ts'
import { addStages, isTraced } from '../tracing/spans.ts'
import type { DurableBatch, SettledUnit } from './settle.ts'
import type { Unit } from './unit.ts'

/** What became of a unit, and why where it was refused. */
interface Result {
  outcome: 'committed' | 'duplicate' | 'replayed' | 'refused'
  reason: string
}

/** Counts and measures what a batch did, and tells of its stages in the trace of each of its units. */
export function observeBatch(metrics: Metrics, { times, units }: DurableBatch): void {
  const { begun, read, judged, durable } = times
  metrics.batchSeconds.observe((durable - begun) / 1000)
  metrics.batchUnits.observe(units.length)
  const counts: Record<'commits' | 'stateWrites', Counts> = {
    commits: new Map(),
    stateWrites: new Map(),
  }
  for (const one of units) {
    const result = resultOf(one)
    // One that came while the batch waited for its lock did not wait before.
    const taken = Math.max(begun, one.submitted)
    const seconds = (durable - one.submitted) / 1000
    metrics.commitSeconds.observe(seconds)
    metrics.commitWaitSeconds.observe((taken - one.submitted) / 1000)
    const { transaction, parts } = one.unit
    if (transaction !== undefined) observeTransaction(metrics, one.unit, { ...result, seconds })
    else count(parts.length > 0 ? counts.commits : counts.stateWrites, result)
    if (isTraced(one.trace)) {
      const moments = [one.submitted, taken, Math.max(read, taken), judged, durable]
      addStages(one.trace, stagesOf(moments), { 'deltaworks.batch.units': units.length })
    }
  }
  for (const kind of ['commits', 'stateWrites'] as const) {
    for (const { outcome, reason, count } of counts[kind].values()) {
      metrics[kind].inc({ outcome, reason }, count)
    }
  }
}

/** How many came to the same, by that. */
type Counts = Map<string, Result & { count: number }>

/** Most of a batch come to the same, which is then told at once. */
function count(counts: Counts, { outcome, reason }: Result): void {
  const key = `${outcome} ${reason}`
  const known = counts.get(key)
  if (known === undefined) counts.set(key, { outcome, reason, count: 1 })
  else known.count += 1
}

function observeTransaction(
  metrics: Metrics,
  { parts, changes = [] }: Unit,
  { outcome, reason, seconds }: Result & { seconds: number },
): void {
  metrics.transactions.inc({ outcome, reason })
  metrics.transactionSeconds.observe({ outcome }, seconds)
  if (outcome !== 'committed') return
  metrics.transactionTables.observe(parts.length + changes.length)
  const actions = parts.map(({ proposal }) => proposal.staged?.numLines ?? proposal.actions.length)
  metrics.transactionActions.observe(actions.reduce((sum, count) => sum + count, 0))
}

const stageNames = ['wait for the batch', 'lock and read', 'judge', 'write and commit']

function stagesOf(moments: readonly number[]) {
  const epoch = moments.map((moment) => performance.timeOrigin + moment)
  return stageNames.map((name, at) => ({
    name,
    from: epoch[at] as number,
    to: epoch[at + 1] as number,
  }))
}

function resultOf({ outcome }: SettledUnit): Result {
  if (outcome instanceof Problem) return { outcome: 'refused', reason: outcome.code }
  const { verdict, replayed } = outcome
  if (replayed || verdict === undefined) return { outcome: 'replayed', reason: '' }
  if (verdict.kind === 'refused') return { outcome: 'refused', reason: verdict.problem.code }
  const isDuplicate =
    verdict.commits.length > 0 && verdict.commits.every(({ status }) => status === 'duplicate')
  return { outcome: isDuplicate ? 'duplicate' : 'committed', reason: '' }
}
