import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Benchmark, Ground } from './benchmark.ts'
import { type EtcdServer, startEtcd } from './etcd-server.ts'
import { type LoadResult, runClients, runLoad, type Wire, type WireRequest } from './http-load.ts'
import { runPgbench } from './pgbench.ts'

const milliseconds = 5000
const connections = 32
const namesOfConnection = 100
const heldLeases = 10_000
const renewedWithinSeconds = 10
const ttlMs = 60_000

interface Prepared {
  etcd: EtcdServer | undefined
  /** A lease of etcd for each connection. */
  leases: string[]
  /** Tokens of the leases that are held. */
  tokens: number[]
}

/** What one kind of service is asked: a lock, and what gives it free again. */
type AcquireAndRelease = (wire: Wire, name: string, holder: number) => Promise<() => Promise<void>>

/** Locks over HTTP, beside those of etcd over its JSON gateway, and beside bare advisory locks. */
export const locks: Benchmark<Prepared> = {
  bar: 'acquire and release at least 2 × etcd; a waiter wakes within 20 ms; 10,000 leases renewed every 10 s at under 10 % of a core',
  async prepare(ground) {
    const tokens = await holdLeases(ground)
    const etcd = await startEtcd(join(ground.dataDir, 'etcd'))
    if (etcd === undefined) console.error('There is no etcd on the path; it goes on without it.')
    const leases = etcd === undefined ? [] : await grantLeases(etcd)
    return { etcd, leases, tokens }
  },
  async round(ground, { etcd, leases, tokens }, number) {
    const services = [
      { title: '', address: ground.address, take: ours },
      ...(etcd === undefined
        ? []
        : [{ title: 'etcd ', address: etcd.address, take: etcds(leases) }]),
    ]
    const results: Record<string, number> = { ...(await measureBare(ground)) }
    for (const { title, address, take } of services) {
      Object.assign(results, await measureDistinct(title, { address, take, number }))
      Object.assign(results, await measureContended(title, { address, take, number }))
    }
    for (const kind of etcd === undefined ? [] : ['distinct', 'one']) {
      const own = results[`${kind}, /s`] ?? 0
      results[`${kind}, × etcd`] = own / (results[`etcd ${kind}, /s`] ?? 1)
    }
    return { ...results, ...(await measureRenewals(ground, tokens)) }
  },
  end: async ({ etcd }) => etcd?.[Symbol.asyncDispose](),
}

const ours: AcquireAndRelease = async (wire, name, holder) => {
  const asked = { holder: `h${holder}`, ttlMs, waitMs: 30_000 }
  const { token } = await send(wire, `/locks/${name}/acquire`, asked)
  return async () => {
    await send(wire, `/locks/${name}/release`, { holder: asked.holder, token })
  }
}

const etcds =
  (leases: readonly string[]): AcquireAndRelease =>
  async (wire, name, holder) => {
    const asked = { name: Buffer.from(name).toString('base64'), lease: leases[holder] }
    const { key } = await send(wire, '/v3/lock/lock', asked)
    return async () => {
      await send(wire, '/v3/lock/unlock', { key })
    }
  }

// biome-ignore lint/suspicious/noExplicitAny: a benchmark looks into answers of every shape
async function send(wire: Wire, path: string, body: object): Promise<any> {
  const answer = await wire.send(requestOf(path, body))
  if (answer.status !== 200) throw new Error(answer.body)
  return JSON.parse(answer.body)
}

function requestOf(path: string, body: object): WireRequest {
  return { path, body: JSON.stringify(body) }
}

interface Measured {
  address: string
  take: AcquireAndRelease
  number: number
}

/** Each connection acquires and releases locks that nobody else wants. */
async function measureDistinct(title: string, { address, take, number }: Measured) {
  const load = await runClients({
    address,
    connections,
    milliseconds,
    async once(wire, connection, count) {
      const begun = performance.now()
      const name = `r${number}-c${connection}-${count % namesOfConnection}`
      await (await take(wire, name, connection))()
      return performance.now() - begun
    },
  })
  return numbersOf(`${title}distinct`, load)
}

/** All want the same lock. A waiter wakes when it is answered, from when the holder before has sent the release on. */
async function measureContended(title: string, { address, take, number }: Measured) {
  let released: number | undefined
  const woken: number[] = []
  const load = await runClients({
    address,
    connections,
    milliseconds,
    async once(wire, connection) {
      const begun = performance.now()
      const release = await take(wire, `r${number}-contended`, connection)
      if (released !== undefined) woken.push(performance.now() - released)
      released = performance.now()
      await release()
      return performance.now() - begun
    },
  })
  const sorted = woken.toSorted((a, b) => a - b)
  return {
    [`${title}one, /s`]: load.perSecond,
    [`${title}one, wake-up p50 ms`]: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    [`${title}one, wake-up p99 ms`]: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  }
}

async function measureBare({ database }: Ground) {
  const script = `
\\set key :client_id * ${namesOfConnection} + random(0, ${namesOfConnection - 1})
select pg_try_advisory_lock(:key);
select pg_advisory_unlock(:key);
`
  const bare = { script, clients: connections, seconds: milliseconds / 1000 }
  const { perSecond } = await runPgbench(database.connection, bare)
  return { 'advisory lock by pgbench, /s': perSecond }
}

/** Renewals as holders send them who do so every 10 s, and what part of a core the server takes for them. */
async function measureRenewals(ground: Ground, tokens: readonly number[]) {
  const perSecond = heldLeases / renewedWithinSeconds
  const before = await cpuSeconds(ground)
  const begun = performance.now()
  const load = await runLoad({
    address: ground.address,
    connections: 200,
    perSecond,
    milliseconds,
    request(connection, count) {
      const number = (count * 200 + connection) % heldLeases
      const lease = { holder: `held-${number}`, token: tokens[number] }
      return requestOf(`/locks/held-${ground.run}-${number}/renew`, lease)
    },
  })
  const seconds = (performance.now() - begun) / 1000
  const used = (await cpuSeconds(ground)) - before
  return {
    'renewals, /s': load.perSecond,
    'renewals, p99 ms': load.p99Ms,
    'renewals, % of a core': (used / seconds) * 100,
  }
}

/** What the server has used of its cores so far. */
async function cpuSeconds({ address }: Ground): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text()
  return Number(/^process_cpu_seconds_total ([\d.e+-]+)/m.exec(text)?.[1])
}

async function holdLeases(ground: Ground): Promise<number[]> {
  const tokens: number[] = []
  await runClients({
    address: ground.address,
    connections,
    milliseconds: Number.POSITIVE_INFINITY,
    async once(wire, connection, count) {
      const number = count * connections + connection
      if (number >= heldLeases) return undefined
      const asked = { holder: `held-${number}`, ttlMs: 3_600_000 }
      const path = `/locks/held-${ground.run}-${number}/acquire`
      tokens[number] = (await send(wire, path, asked)).token
      return 0
    },
  })
  return tokens
}

async function grantLeases({ address }: EtcdServer): Promise<string[]> {
  const grant = async () => {
    const response = await fetch(`${address}/v3/lease/grant`, {
      method: 'POST',
      body: JSON.stringify({ TTL: 3600, ID: randomBytes(4).readUInt32BE() }),
    })
    const { ID } = (await response.json()) as { ID: string }
    return ID
  }
  return Promise.all(Array.from({ length: connections }, grant))
}

function numbersOf(title: string, { perSecond, p50Ms, p99Ms }: LoadResult) {
  return { [`${title}, /s`]: perSecond, [`${title}, p50 ms`]: p50Ms, [`${title}, p99 ms`]: p99Ms }
}
