import { setTimeout as sleep } from 'node:timers/promises'
import type { GuardedWrite, Holding, LockHistory } from '../histories/lock-history.ts'
import { type Api, add, type TestAnswer } from '../support/api.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'

/** A lock, and the table or the namespace of the state that it guards. */
export interface GuardedLock {
  lock: string
  table?: string
}

/** Clients that hold locks and write under them, some of them long after their time, and note all that they are told. */
export interface LockClients extends Pick<Pace, 'progress' | 'end'> {
  /** Without the places. */
  history: { holdings: Holding[]; writes: GuardedWrite[] }
  /** Attempts of clients whose time was over, by outcome. */
  late: Record<GuardedWrite['outcome'], number>
  /** Answers that no client should ever get. */
  surprises: string[]
}

const ttlMs = 400

/** Starts that many clients, shared out among the servers. `progress` counts late attempts. */
export function startLockClients(
  servers: readonly Api[],
  { locks, count }: { locks: readonly GuardedLock[]; count: number },
): LockClients {
  const history: LockClients['history'] = { holdings: [], writes: [] }
  const late = { written: 0, refused: 0, unknown: 0 }
  const surprises: string[] = []

  async function send(api: Api, path: string, json: object): Promise<TestAnswer | undefined> {
    const answer = await api.post(path, json).catch(() => undefined)
    return answer === undefined || answer.status >= 429 ? undefined : answer
  }

  async function acquire(api: Api, { lock }: GuardedLock, holder: string) {
    const asked = performance.now()
    const answer = await send(api, `/locks/${lock}/acquire`, { holder, ttlMs, waitMs: 500 })
    const granted = performance.now()
    if (answer?.status !== 200) return undefined
    // The lease began before the answer came.
    const holding = { lock, token: answer.body.token, asked, granted, over: granted + ttlMs }
    history.holdings.push(holding)
    return holding
  }

  async function renew(api: Api, holding: Holding, holder: string): Promise<void> {
    const { lock, token } = holding
    // An answer that is lost may have begun the lease anew, whenever it was done.
    holding.over = Number.POSITIVE_INFINITY
    const answer = await send(api, `/locks/${lock}/renew`, { holder, token })
    if (answer !== undefined) holding.over = performance.now() + (answer.status === 200 ? ttlMs : 0)
  }

  async function release(api: Api, holding: Holding, holder: string): Promise<void> {
    const { lock, token } = holding
    const answer = await send(api, `/locks/${lock}/release`, { holder, token })
    if (answer !== undefined) holding.over = Math.min(holding.over, performance.now())
  }

  let writes = 0
  async function write(api: Api, { table, lock }: GuardedLock, holding: Holding): Promise<void> {
    const { token } = holding
    const fences = [{ lock, token }]
    const name = `${token}-${writes++}`
    const call = performance.now()
    const isLate = call > holding.over
    const answer =
      table === undefined
        ? await send(api, `/state/${lock}/batch`, {
            fences,
            operations: [{ put: { key: name, value: token } }],
          })
        : await send(api, `/tables/${table}/commits`, {
            fences,
            userMetadata: String(token),
            actions: [add(name)],
          })
    const outcome = outcomeOf(answer)
    if (outcome === undefined) surprises.push(`${answer?.status} ${answer?.text}`)
    history.writes.push({ lock, token, call, outcome: outcome ?? 'unknown' })
    if (isLate) late[outcome ?? 'unknown'] += 1
    if (isLate) pace.count()
  }

  /** Holds a lock once, writes, and then does what is no longer right. */
  async function turn(api: Api, holder: string): Promise<void> {
    const guarded = pick(locks)
    const holding = await acquire(api, guarded, holder)
    if (holding === undefined) return
    for (let step = 0; step < 3; step += 1) {
      await write(api, guarded, holding)
      if (Math.random() < 0.3) await renew(api, holding, holder)
    }
    if (Math.random() < 0.5) await release(api, holding, holder)
    else await sleep(ttlMs * (1 + Math.random()))
    for (let step = 0; step < 10; step += 1) await write(api, guarded, holding)
  }

  const pace = startClientsAt(count, async (pace, number) => {
    const api = servers[number % servers.length] as Api
    for (let round = 0; !pace.isEnded(); round += 1) {
      await turn(api, `client ${number}, round ${round}`)
      await sleep(Math.random() * 20)
    }
  })
  return { history, late, surprises, progress: pace.progress, end: pace.end }
}

function outcomeOf(answer: TestAnswer | undefined): GuardedWrite['outcome'] | undefined {
  if (answer === undefined) return 'unknown'
  if (answer.status === 200 || answer.status === 201) return 'written'
  return answer.body.code === 'stale-fence' ? 'refused' : undefined
}

/** The tokens of all that was written at what the locks guard, in the order in which it took effect. */
export async function readPlaces(
  api: Api,
  locks: readonly GuardedLock[],
): Promise<LockHistory['places']> {
  const lines = { accept: 'application/x-ndjson' }
  const read = async (path: string) => {
    const { text } = await api.get(path, lines)
    return text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  }
  return Promise.all(
    locks.map(async ({ lock, table }) => {
      if (table === undefined) {
        const entries = await read(`/state/${lock}/entries`)
        const inOrder = entries.sort((one, other) => one.revision - other.revision)
        return { lock, tokens: inOrder.map(({ value }) => value) }
      }
      const commits = await read(`/tables/${table}/commits?from=1`)
      return { lock, tokens: commits.reverse().map((one) => Number(one.commitInfo.userMetadata)) }
    }),
  )
}
