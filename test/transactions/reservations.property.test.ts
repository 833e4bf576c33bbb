import fc from 'fast-check'
import t from 'tap'
import {
  type CycleMember,
  findCycle,
  judgeCycle,
  type WaitEdge,
} from '../../src/transactions/reservations/rules.ts'
import type { TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'
import { deadlocked, overdue, type ReservationState } from './reservation-model.ts'

const numRuns = Number(process.env['RESERVATION_RUNS'] ?? 10)
t.setTimeout(60_000 + numRuns * 5_000)

const numNodes = 7
const someEdges = fc.array(
  fc
    .tuple(fc.nat(numNodes - 1), fc.nat(numNodes - 1))
    .map(
      ([waiter, holder]): WaitEdge => ({ waiter: `${waiter}`, tableId: '', holder: `${holder}` }),
    ),
  { maxLength: 14 },
)

/** How few edges lead from a node back to it. */
function girth(start: string, edges: readonly WaitEdge[]): number | undefined {
  let front = new Set([start])
  for (let length = 1; length <= numNodes; length += 1) {
    front = new Set(edges.flatMap(({ waiter, holder }) => (front.has(waiter) ? holder : [])))
    if (front.has(start)) return length
  }
  return undefined
}

t.test('a cycle is found if there is one, and it is a shortest one', async () => {
  fc.assert(
    fc.property(someEdges, (edges) => {
      const cycle = findCycle('0', edges)
      if (cycle?.length !== girth('0', edges)) throw new Error(`${cycle?.length} edges`)
      if (cycle === undefined) return
      const isClosed = cycle.every(
        (edge, at) =>
          edges.includes(edge) && edge.holder === cycle[(at + 1) % cycle.length]?.waiter,
      )
      if (!isClosed || cycle[0]?.waiter !== '0') throw new Error(JSON.stringify(cycle))
    }),
    { numRuns: 200 },
  )
})

t.test('who gives way does not depend on where the cycle is begun', async () => {
  const member = fc.record({ priority: fc.nat(2), begun: fc.nat(3) })
  fc.assert(
    fc.property(fc.array(member, { minLength: 2, maxLength: 6 }), fc.nat(5), (members, turn) => {
      const cycle = members.map(({ priority, begun }, at): CycleMember => {
        const createdAt = new Date(begun).toISOString()
        return { transactionId: `${at}`, label: null, priority, createdAt, tableId: `${at}` }
      })
      const at = turn % cycle.length
      const { victim, cycle: told } = judgeCycle([...cycle.slice(at), ...cycle.slice(0, at)])
      const [first] = told
      if (first?.transactionId !== victim) throw new Error('the victim comes first')
      if (judgeCycle(cycle).victim !== victim) throw new Error(`${victim} at ${at}`)
      for (const other of told) {
        const isLower = other.priority < first.priority
        const isYounger = other.priority === first.priority && other.createdAt > first.createdAt
        if (isLower || isYounger) throw new Error('another should have given way')
      }
    }),
    { numRuns: 200 },
  )
})

const numTransactions = 6
const commands = fc
  .record({
    who: fc.nat(numTransactions - 1),
    chance: fc.nat(3),
    tables: fc.uniqueArray(fc.nat(2), { minLength: 1, maxLength: 2 }),
  })
  .map(({ chance, ...command }) => ({ ...command, ends: chance === 0 }))
const histories = fc.record({
  priorities: fc.array(fc.nat(1), { minLength: numTransactions, maxLength: numTransactions }),
  steps: fc.array(commands, { minLength: 12, maxLength: 16 }),
})

const server = await startTestServer(t, { reservationPollMs: 5 }, { mirror: false })
const tables = await Promise.all([0, 1, 2].map(() => server.makeTable()))

interface Begun {
  number: number
  priority: number
  id: string
}

/** Does things at a server, and throws when what comes of them cannot be right. */
class History {
  readonly #begun: Begun[] = []
  /** The tables that each has asked for, and has not been answered. */
  readonly #asked = new Map<number, number[]>()
  readonly #held = new Map<number, Set<number>>()
  readonly #answers: { of: Begun; answer: TestAnswer }[] = []
  readonly #over = new Set<number>()
  readonly #requests: Promise<unknown>[] = []
  /** What was before the present step, and what is asked for by that. */
  #before: ReservationState = { holders: new Map(), waiting: [] }

  async begin(priorities: readonly number[]): Promise<void> {
    for (const [number, priority] of priorities.entries()) {
      const { body } = await server.post('/transactions', { priority })
      this.#begun.push({ number, priority, id: body.id })
      this.#held.set(number, new Set())
    }
  }

  async step({ who, ends, tables: wanted }: { who: number; ends: boolean; tables: number[] }) {
    const one = this.#begun[who]
    if (one === undefined || this.#over.has(who)) return
    if (ends) {
      this.#over.add(who)
      this.#held.delete(who)
      await server.post(`/transactions/${one.id}/rollback`)
    } else if (!this.#asked.has(who)) {
      this.#asked.set(who, wanted)
      this.#before = {
        ...this.#before,
        waiting: [...this.#before.waiting, { number: who, tables: wanted }],
      }
      const body = { tables: wanted.map((at) => tables[at]), waitMs: 30_000 }
      const request = server.post(`/transactions/${one.id}/reserve`, body)
      this.#requests.push(request.then((answer) => this.#answers.push({ of: one, answer })))
    }
    await this.#settle()
  }

  async stop(): Promise<void> {
    for (const { id } of this.#begun) await server.post(`/transactions/${id}/rollback`)
    await Promise.all(this.#requests)
  }

  /** Waits until nothing is under way any more: what is then must be right. */
  async #settle(): Promise<void> {
    const deadline = Date.now() + 20_000
    for (;;) {
      const state = await readState(this.#begun.filter(({ number }) => !this.#over.has(number)))
      for (const { of, answer } of this.#answers.splice(0)) this.#takeIn(of, answer)
      const isWrong = this.#differs(state) || overdue(state).length + deadlocked(state).length > 0
      if (!isWrong) {
        this.#before = state
        return
      }
      if (Date.now() > deadline) throw new Error(`it came to rest as ${textOf(state)}`)
    }
  }

  #takeIn(of: Begun, { status, body }: TestAnswer): void {
    const asked = this.#asked.get(of.number) ?? []
    this.#asked.delete(of.number)
    if (body.code === 'deadlock') {
      this.#judge(of, body.cycle)
      this.#held.get(of.number)?.clear()
    } else if (status === 200) {
      for (const table of asked) this.#held.get(of.number)?.add(table)
    } else if (!this.#over.has(of.number) || body.code !== 'transaction-not-active') {
      throw new Error(`${of.number}: ${JSON.stringify(body)}`)
    }
  }

  /** A cycle must have been one, and the first of it the one to give way. */
  #judge(victim: Begun, cycle: readonly CycleMember[]): void {
    const members = cycle.flatMap(({ transactionId, tableId }) =>
      this.#begun
        .filter(({ id }) => id === transactionId)
        .map((one) => ({ ...one, table: tables.indexOf(tableId) })),
    )
    const isRight = members.every((one, at) => {
      const next = members[(at + 1) % members.length]
      const waited = this.#before.waiting.find(({ number }) => number === one.number)
      return (
        waited?.tables.includes(one.table) &&
        this.#before.holders.get(one.table) === next?.number &&
        (one.priority > victim.priority ||
          (one.priority === victim.priority && one.number <= victim.number))
      )
    })
    if (!isRight || members[0]?.number !== victim.number || members.length < 2) {
      throw new Error(`${victim.number} gave way to ${JSON.stringify(members)}`)
    }
  }

  /** Whether the database holds something else than was answered. */
  #differs({ holders, waiting }: ReservationState): boolean {
    const held = [...this.#held].flatMap(([number, own]) =>
      [...own].map((at) => `${at}: ${number}`),
    )
    const found = [...holders].map(([table, number]) => `${table}: ${number}`)
    const asked = [...this.#asked.keys()].filter((number) => !this.#over.has(number))
    const waits = waiting.map(({ number }) => number)
    return `${held.sort()}/${asked.sort()}` !== `${found.sort()}/${waits.sort()}`
  }
}

/** What the database holds of transactions. */
async function readState(begun: readonly Begun[]): Promise<ReservationState> {
  const ids = begun.map(({ id }) => id)
  const numbers = new Map(begun.map(({ id, number }) => [id, number]))
  const { rows } = await server.pool.query<{ id: string; table: string; waits: boolean }>(
    `select transaction_id as id, table_id as table, false as waits from reservations
     where transaction_id = any($1)
     union all
     select transaction_id, table_id, true from reservation_waits
     where transaction_id = any($1) and cycle is null`,
    [ids],
  )
  const found = rows.map(({ id, table, waits }) => ({
    number: numbers.get(id) ?? -1,
    table: tables.indexOf(table),
    waits,
  }))
  const waiting = Map.groupBy(
    found.filter(({ waits }) => waits),
    ({ number }) => number,
  )
  return {
    holders: new Map(found.flatMap((one) => (one.waits ? [] : [[one.table, one.number] as const]))),
    waiting: [...waiting].map(([number, own]) => ({ number, tables: own.map((one) => one.table) })),
  }
}

function textOf({ holders, waiting }: ReservationState): string {
  return JSON.stringify({ holders: [...holders], waiting })
}

t.test('reservations come and go as in the model', async () => {
  await fc.assert(
    fc.asyncProperty(histories, async ({ priorities, steps }) => {
      const history = new History()
      await history.begin(priorities)
      try {
        for (const step of steps) await history.step(step)
      } finally {
        await history.stop()
      }
    }),
    // A request that nobody answers takes long.
    { numRuns, endOnFailure: true },
  )
})
