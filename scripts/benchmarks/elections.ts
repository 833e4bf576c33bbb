import { setTimeout as sleep } from 'node:timers/promises'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import type { Benchmark } from './benchmark.ts'
import { percentile } from './waits.ts'

const handOvers = 100
const ttlMs = 2000

/** How long nobody leads, from a resignation and from the last renewal of one that dies to the answer of who waits. */
export const elections: Benchmark<ServerProcess> = {
  bar: `handed over within 100 ms of a resignation, and within ${ttlMs} ms, one TTL, of a death`,
  prepare(ground) {
    const { host, port, user, database: name } = ground.database.connection
    const query = new URLSearchParams({ host, port: String(port) })
    const DATABASE_URL = `postgres://${user}@localhost/${name}?${query}`
    return startServerProcess(ground.dataDir, { DATABASE_URL })
  },
  async round({ address }, second, number) {
    const here = await resignations(`here-${number}`, [address, address])
    const apart = await resignations(`apart-${number}`, [address, second.address])
    const died = await death(`dead-${number}`, [address, second.address])
    return {
      ...named('resigned, one server', here),
      ...named('resigned, two servers', apart),
      'died, ms since it campaigned': died,
    }
  },
  end: (second) => second.stop(),
}

function named(title: string, times: readonly number[]) {
  return {
    [`${title}, p50 ms`]: percentile(times, 0.5),
    [`${title}, p99 ms`]: percentile(times, 0.99),
  }
}

/** A candidate at a server. */
interface Candidate {
  at: string
  candidate: string
  ttlMs: number
}

/** The leadership goes to and fro between two candidates, each at its server. */
async function resignations(name: string, servers: readonly [string, string]): Promise<number[]> {
  const candidates = servers.map((at, index) => ({ at, candidate: `c${index}`, ttlMs: 60_000 }))
  let [leader, next] = candidates as [Candidate, Candidate]
  let { token } = await campaign(name, leader)
  const times: number[] = []
  for (let turn = 0; turn < handOvers; turn += 1) {
    const waiting = campaign(name, next)
    await untilWaiting(name, leader.at)
    const resigned = performance.now()
    const { at, candidate } = leader
    await call(`${at}/elections/${name}/resign`, { candidate, token })
    const elected = await waiting
    times.push(elected.at - resigned)
    token = elected.token
    ;[leader, next] = [next, leader]
  }
  return times
}

async function death(name: string, [at, second]: readonly [string, string]): Promise<number> {
  const begun = performance.now()
  await campaign(name, { at, candidate: 'c0', ttlMs })
  return (await campaign(name, { at: second, candidate: 'c1', ttlMs })).at - begun
}

/** Campaigns, and waits; answers with when it was elected. */
async function campaign(name: string, { at, ...candidate }: Candidate) {
  const asked = { ...candidate, waitMs: 30_000 }
  const { token } = await call(`${at}/elections/${name}/campaign`, asked)
  return { token: Number(token), at: performance.now() }
}

async function untilWaiting(name: string, at: string): Promise<void> {
  while ((await call(`${at}/elections/${name}`))['numCandidates'] === 0) await sleep(2)
  // Requests wait in the database before their server waits for them.
  await sleep(20)
}

async function call(url: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  })
  if (!response.ok) throw new Error(await response.text())
  return (await response.json()) as Record<string, unknown>
}
