import { setTimeout as sleep } from 'node:timers/promises'
import { context } from '@opentelemetry/api'
import type { Pool } from '../database/connect.ts'
import type { Outcome, WriteOutcome } from '../idempotency/rules.ts'
import { Problem } from '../problems.ts'
import { type CommitOptions, checkUnit } from './commit-batch.ts'
import { Gathering } from './gathering.ts'
import { type Batch, Lanes, type Turn } from './lanes.ts'
import { type DurableBatch, refuseHeld, type SubmittedUnit, settle } from './settle.ts'
import type { Unit } from './unit.ts'

/** Commits units of work, many in one PostgreSQL transaction, and several such batches at once. */
export interface Committer {
  /**
   * Answers when the unit is durable or refused. Throws a `Problem` when there is no verdict: too much is
   * waiting, another transaction holds the table, or the database is away.
   */
  submit: (unit: Unit) => Promise<WriteOutcome>
  /** The outcome that the unit would have now; nothing is written. */
  check: (unit: Unit) => Promise<Outcome>
  /**
   * Runs `work` while no batch of this process has one of the tables, which are named by id or by name. What was
   * submitted before goes first, what comes later waits; other tables go on.
   */
  alone: <Result>(tables: readonly string[], work: () => Promise<Result>) => Promise<Result>
  /** Units that wait for their batch, and those in batches in flight. */
  counts: () => { waiting: number; inFlight: number }
  /** Settles when every unit that was submitted has its answer, also those whose caller has gone. */
  idle: () => Promise<void>
}

export interface CommitterOptions extends CommitOptions {
  pool: Pool
  /** Units that may wait at most. Those of one table may be half of them. */
  queueCommitsMax: number
  /** Batches in flight at most. */
  batchesMax: number
  /** A batch is closed once it holds this many actions. */
  batchActionsMax: number
  /** Called once a batch is durable. */
  onBatch: (batch: DurableBatch) => void
}

interface WaitingUnit extends SubmittedUnit, Turn {
  isAlone: false
}

interface WaitingWork extends Turn {
  isAlone: true
  begin: (batch: Batch<Waiting>) => void
}

type Waiting = WaitingUnit | WaitingWork

const batchUnitsMax = 1000
const quickBatchesMax = 2
/** Each has a connection for as long as it takes. */
const aloneBatchesMax = 3
const heldRetryMs = 20
const contendedMax = 1000

/**
 * A unit waits in the lanes of its tables, is taken into a batch when these are free, and is answered when the
 * batch is durable. While batches are in flight the next one gathers, so batches grow with the load.
 */
export function createCommitter(options: CommitterOptions): Committer {
  const { pool, queueCommitsMax, batchesMax, batchActionsMax } = options
  const lanes = new Lanes<Waiting>({
    batchesMax,
    quickMax: quickBatchesMax,
    aloneMax: aloneBatchesMax,
    unitsMax: batchUnitsMax,
    actionsMax: batchActionsMax,
  })
  const gathering = new Gathering()
  /** Tables for which the last slow batch had to wait, as when another server commits to them too. */
  const contended = new Set<string>()
  const idlers: (() => void)[] = []
  const droppings = new Set<Promise<void>>()
  let isWoken = false
  let gatherer: NodeJS.Timeout | undefined
  let isTrying = false

  function enqueue(turn: Waiting): void {
    lanes.add(turn)
    wake()
  }

  /** All that arrives in this turn of the event loop may go into the same batch. */
  function wake(): void {
    if (!isWoken) setImmediate(startBatches)
    isWoken = true
  }

  function startBatches(): void {
    isWoken = false
    clearTimeout(gatherer)
    const waitMs = gathering.waitMs(lanes.waiting, performance.now())
    if (waitMs > 0) {
      gatherer = setTimeout(startBatches, waitMs)
      return
    }
    for (let batch = lanes.take(); batch !== undefined; batch = lanes.take()) void run(batch)
  }

  async function run(batch: Batch<Waiting>): Promise<void> {
    const [first] = batch.turns
    if (first?.isAlone) return first.begin(batch)
    const tables = first?.tables ?? []
    const waits = batch.kind === 'slow'
    const started = performance.now()
    const { held, waited, timedOut } = await settle(unitsOf(batch.turns), {
      ...options,
      waits,
      expectsWait: waits && tables.some((table) => contended.has(table)),
      takeIn: () => unitsOf(lanes.takeIn(batch)),
    })
    if (waits) noteContended(tables, waited)
    if (timedOut) for (const turn of lanes.giveUpHeld(batch)) if (!turn.isAlone) refuseHeld(turn)
    const now = performance.now()
    gathering.answered({ units: batch.turns.length, ms: now - started }, now)
    finish(batch, held)
  }

  function noteContended(tables: readonly string[], waited: boolean): void {
    if (contended.size >= contendedMax) contended.clear()
    for (const table of tables) {
      if (waited) contended.add(table)
      else contended.delete(table)
    }
  }

  function finish(batch: Batch<Waiting>, held: readonly Waiting[] = []): void {
    lanes.finish(batch, held)
    if (held.length > 0) void tryHeld()
    if (lanes.isIdle) for (const resolve of idlers.splice(0)) resolve()
    else wake()
  }

  async function tryHeld(): Promise<void> {
    if (isTrying) return
    isTrying = true
    for (await sleep(heldRetryMs); lanes.tryHeld(); await sleep(heldRetryMs)) startBatches()
    isTrying = false
  }

  async function alone<Result>(
    tables: readonly string[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const names = distinct(tables)
    const refusal = refuseTooMany(lanes, names, queueCommitsMax)
    if (refusal !== undefined) throw refusal
    const batch = await new Promise<Batch<Waiting>>((begin) =>
      enqueue({ tables: names, actions: 0, isAlone: true, begin }),
    )
    try {
      return await work()
    } finally {
      finish(batch)
    }
  }

  /** A batch of its own, for it takes long, or holds up whoever makes or drops tables. */
  function submitAlone(unit: Unit): Promise<WriteOutcome> {
    const submitted = performance.now()
    const trace = context.active()
    const commit = () =>
      new Promise<WriteOutcome>((resolve, reject) => {
        void settle([{ unit, submitted, trace, resolve, reject }], { ...options, waits: true })
      })
    return alone(lanesOf(unit), commit).finally(() => {
      // The caller need not wait for it, but a stop must.
      const dropping = dropStages(unit).finally(() => droppings.delete(dropping))
      droppings.add(dropping)
    })
  }

  return {
    async check(unit) {
      const outcome = await checkUnit(pool, unit, options).finally(() => dropStages(unit))
      if (outcome instanceof Problem) throw outcome
      return outcome
    },
    counts: () => ({ waiting: lanes.waiting, inFlight: lanes.inFlight }),
    idle: async () => {
      if (!lanes.isIdle) await new Promise<void>((resolve) => idlers.push(resolve))
      await Promise.all(droppings)
    },
    submit: (unit) => {
      if (isStaged(unit) || unit.changes !== undefined) return submitAlone(unit)
      return new Promise((resolve, reject) => {
        const tables = lanesOf(unit)
        const actions = sizeOf(unit)
        const refusal = refuseTooMany(lanes, tables, queueCommitsMax)
        if (refusal !== undefined) return reject(refusal)
        const submitted = performance.now()
        const trace = context.active()
        enqueue({ unit, tables, actions, isAlone: false, submitted, trace, resolve, reject })
      })
    },
    alone,
  }
}

function unitsOf(turns: readonly Waiting[]): WaitingUnit[] {
  return turns.filter((turn) => !turn.isAlone)
}

function isStaged({ parts }: Unit): boolean {
  return parts.some(({ proposal }) => proposal.staged !== undefined)
}

/** Who submits a unit leaves its stages to the committer. One that cannot be dropped is swept up later. */
async function dropStages({ parts }: Unit): Promise<void> {
  await Promise.allSettled(parts.map(({ proposal }) => proposal.staged?.stage.drop()))
}

/** What a unit takes for itself while it is committed: tables, and namespaces of the state. */
function lanesOf({ parts, changes = [], state = [] }: Unit): string[] {
  const tables = [...parts, ...changes].map(({ table }) => table)
  return distinct([...tables, ...state.map(({ namespace }) => `state/${namespace}`)])
}

function sizeOf({ parts, state = [] }: Unit): number {
  const actions = parts.reduce((sum, { proposal }) => sum + proposal.actions.length, 0)
  return state.reduce((sum, { operations }) => sum + operations.length, actions)
}

function distinct(tables: readonly string[]): string[] {
  return [...new Set(tables)]
}

/** Half of the queue is the most that one table may fill, so that there is room for the others. */
function refuseTooMany(
  lanes: Lanes<Waiting>,
  tables: readonly string[],
  max: number,
): Problem | undefined {
  const full = tables.find((table) => lanes.waitingFor(table) >= Math.ceil(max / 2))
  if (full === undefined && lanes.waiting < max) return undefined
  const reason =
    full === undefined
      ? `${lanes.waiting} commits are waiting already`
      : `${lanes.waitingFor(full)} commits to "${full}" are waiting already`
  return new Problem('overloaded', `${reason}. Repeat in a moment.`, {
    headers: { 'retry-after': '1' },
  })
}
