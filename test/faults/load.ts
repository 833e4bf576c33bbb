import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, add, remove } from '../support/api.ts'
import type { Wish } from './check-history.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'

/** Clients that commit without pause until they are told to end. */
export interface Load extends Pick<Pace, 'progress' | 'end'> {
  /** All that the clients wanted, and what came of it. */
  wishes: readonly Wish[]
  /** Answers that no client should ever get. */
  surprises: readonly string[]
}

const retryMs = 50

/** Commits to the tables from several clients at once, in many ways, through whatever happens to the server. */
export function startLoad(api: Api, tables: readonly string[], clients: number): Load {
  const wishes: Wish[] = []
  const surprises: string[] = []

  async function runClient(pace: Pace): Promise<void> {
    const own = new Map<string, string[]>(tables.map((table) => [table, []]))
    while (!pace.isEnded()) {
      const wish = makeWish(pick(tables), own)
      if (wish.expectedVersion !== undefined) {
        wish.expectedVersion = await nextVersion(api, wish.table)
      }
      wishes.push(wish)
      await settle(wish)
      if (wish.answers[0]?.status === 201) {
        pace.count()
        own.get(wish.table)?.push(...wish.adds)
      }
      await sleep(Math.random() * 10)
    }
  }

  /** Repeats what can be repeated without harm until it is settled; sometimes more often than that. */
  async function settle(wish: Wish): Promise<void> {
    const isRepeatable = wish.key !== undefined || wish.expectedVersion !== undefined
    do {
      const attempts = wish.key !== undefined && Math.random() < 0.1 ? 2 : 1
      await Promise.all(Array.from({ length: attempts }, () => attempt(wish)))
      if (wish.answers.length === 0) await sleep(retryMs)
    } while (isRepeatable && wish.answers.length === 0)
    if (wish.key !== undefined && Math.random() < 0.2) await attempt(wish)
  }

  async function attempt(wish: Wish): Promise<void> {
    const { table, key, expectedVersion } = wish
    const actions = [...wish.adds.map((path) => add(path)), ...wish.removes.map((p) => remove(p))]
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    const proposal = { actions, ...(expectedVersion !== undefined && { expectedVersion }) }
    const answer = await api.commit(table, proposal, headers).catch(() => undefined)
    const code = answer?.body?.code
    if (answer?.status === 201 || code === 'version-conflict') {
      wish.answers.push({ status: answer?.status ?? 0, body: answer?.text ?? '' })
    } else {
      wish.open += 1
      if (answer !== undefined && !passing.includes(code)) surprises.push(answer.text)
    }
  }

  return { wishes, surprises, ...startClientsAt(clients, runClient) }
}

/** Refusals after which a client may try again. */
const passing = ['database-unavailable', 'idempotency-in-progress', 'overloaded', 'shutting-down']

/** `own` holds the files by table that this client has added and may remove. */
function makeWish(table: string, own: ReadonlyMap<string, string[]>): Wish {
  const id = randomUUID()
  const count = Math.random() < 0.05 ? 200 : 1 + Math.floor(Math.random() * 4)
  const removable = own.get(table) ?? []
  return {
    table,
    adds: Array.from({ length: count }, (_, index) => `${id}-${index}.parquet`),
    removes: Math.random() < 0.2 ? removable.splice(0, 1) : [],
    answers: [],
    open: 0,
    ...(Math.random() < 0.7 && { key: id }),
    ...(Math.random() < 0.3 && { expectedVersion: 0 }),
  }
}

async function nextVersion(api: Api, table: string): Promise<number> {
  for (;;) {
    const answer = await api.get(`/tables/${table}`).catch(() => undefined)
    if (answer?.status === 200) return answer.body.version + 1
    await sleep(retryMs)
  }
}
