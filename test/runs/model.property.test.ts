import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { type Api, add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const numRuns = Number(process.env['RUN_HISTORIES'] ?? 15)

const one = await startTestServer(t, {}, { mirror: false })
const two = await startTestServer(t, {}, { beside: one, mirror: false })

type Step =
  | { kind: 'next' }
  | { kind: 'move'; to: number }
  /** A commit to some tables under a number; `fails` has it refused. */
  | { kind: 'commit'; number: number; tables: number[]; fails: boolean }
  | { kind: 'finish' }

const number = fc.integer({ min: 0, max: 6 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('next' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('move' as const), to: number }) },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('commit' as const),
        number,
        tables: fc.subarray([0, 1], { minLength: 1 }),
        fails: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('finish' as const) }) },
  ),
  { minLength: 5, maxLength: 20 },
)

/** What a run comes to, told by the simplest rules. */
class Model {
  sequence = 0
  isFinished = false
  readonly attempts: string[] = []
  readonly #given = new Set<number>()
  readonly #committed = new Set<number>()
  readonly #newest = [-1, -1]

  take(step: Step): void {
    if (step.kind === 'commit') this.#commit(step)
    if (this.isFinished) return
    if (step.kind === 'finish') this.isFinished = true
    if (step.kind === 'move') this.sequence = step.to
    if (step.kind !== 'next') return
    this.#given.add(this.sequence)
    this.sequence += 1
  }

  #commit({ number, tables, fails }: Step & { kind: 'commit' }): void {
    const isNew = tables.map((table) => number > (this.#newest[table] ?? -1))
    // What a table has already is not judged again, so it cannot fail.
    const isRefused = fails && isNew.includes(true)
    for (const [at, table] of tables.entries()) {
      const outcome = isRefused ? 'refused' : isNew[at] ? 'committed' : 'duplicate'
      this.attempts.push(`${table} ${number} ${outcome}`)
      if (outcome !== 'committed') continue
      this.#newest[table] = number
      this.#committed.add(number)
    }
  }

  gaps(): number[] {
    return [...this.#given].filter((one) => !this.#committed.has(one)).toSorted((a, b) => a - b)
  }
}

/** Does a step over HTTP. */
function send(api: Api, step: Step, { runId, tables }: { runId: string; tables: string[] }) {
  switch (step.kind) {
    case 'next':
      return api.post(`/runs/${runId}/next`)
    case 'move':
      return api.call('PUT', `/runs/${runId}/sequence`, { json: { commitSequence: step.to } })
    case 'finish':
      return api.post(`/runs/${runId}/finish`, { status: 'succeeded' })
    case 'commit': {
      const idempotency = { appId: runId, version: step.number }
      const actions = step.fails ? [add('')] : []
      const parts = step.tables.map((table) => ({ table: tables[table], idempotency, actions }))
      return api.post('/transactions', { commit: true, tables: parts })
    }
  }
}

interface AttemptTold {
  tableId: string
  commitSequence: number
  outcome: string
}

t.test('a run is what its model says, whatever is asked of two servers', async (t) => {
  const property = fc.asyncProperty(steps, async (history) => {
    const runId = randomUUID()
    await one.post('/runs', { runId })
    const tables = [await one.makeTable(), await two.makeTable()]
    const model = new Model()
    for (const [at, step] of history.entries()) {
      await send(at % 2 === 0 ? one : two, step, { runId, tables })
      model.take(step)
    }
    const { body: run } = await one.get(`/runs/${runId}`)
    assert.equal(run.commitSequence, model.sequence)
    assert.equal(run.status, model.isFinished ? 'succeeded' : 'running')
    const attempts: AttemptTold[] = (await one.get(`/runs/${runId}/attempts`)).body.items
    const told = attempts.map(
      ({ tableId, commitSequence, outcome }) =>
        `${tables.indexOf(tableId)} ${commitSequence} ${outcome}`,
    )
    assert.deepEqual(told.toReversed(), model.attempts)
    const gaps: AttemptTold[] = (await two.get(`/runs/${runId}/gaps`)).body.items
    assert.deepEqual(
      gaps.map(({ commitSequence }) => commitSequence),
      model.gaps(),
    )
  })
  await t.resolves(fc.assert(property, { numRuns }))
})
