import { join } from 'node:path'
import { barePut, createBareEntries } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { type EtcdServer, startEtcd } from './etcd-server.ts'
import { type LoadResult, runLoad, type WireRequest } from './http-load.ts'
import { runPgbench } from './pgbench.ts'

const keys = 100_000
const milliseconds = 5000
/** The answer of etcd to more of them would have no Content-Length. */
const keysTogether = 32

interface Stores {
  etcd: EtcdServer | undefined
}

/** What one kind of store is asked. */
interface Requests {
  put: (key: string, value: string) => WireRequest
  get: (key: string) => WireRequest
  putAll: (keys: readonly string[], value: string) => WireRequest
}

const ours: Requests = {
  put: (key, value) => ({
    method: 'PUT',
    path: `/state/bench/entries/${key}`,
    body: `{"value":${value}}`,
  }),
  get: (key) => ({ method: 'GET', path: `/state/bench/entries/${key}` }),
  putAll: (keys, value) => ({
    path: '/state/bench/batch',
    body: `{"operations":[${keys.map((key) => `{"put":{"key":"${key}","value":${value}}}`)}]}`,
  }),
}

const base64 = (text: string) => Buffer.from(text).toString('base64')
const etcdPut = (key: string, value: string) => ({ key: base64(key), value: base64(value) })

const etcds: Requests = {
  put: (key, value) => ({ path: '/v3/kv/put', body: JSON.stringify(etcdPut(key, value)) }),
  get: (key) => ({ path: '/v3/kv/range', body: JSON.stringify({ key: base64(key) }) }),
  putAll: (keys, value) => ({
    path: '/v3/kv/txn',
    body: JSON.stringify({ success: keys.map((key) => ({ requestPut: etcdPut(key, value) })) }),
  }),
}

/** Puts and reads of single keys over HTTP, beside the bare upsert, and beside etcd over its JSON gateway. */
export const state: Benchmark<Stores> = {
  bar: 'puts at least 1 × pgbench and 2 × etcd; reads at least 2 × etcd',
  async prepare(ground) {
    await createBareEntries(ground.database, keys)
    await fill(ground.address, ours)
    const etcd = await startEtcd(join(ground.dataDir, 'etcd'))
    if (etcd === undefined) console.error('There is no etcd on the path; it goes on without it.')
    else await fill(etcd.address, etcds)
    return { etcd }
  },
  async round(ground, { etcd }, number) {
    const results: Record<string, number> = {}
    for (const connections of [32, 128]) {
      const turn = { ground, etcd, connections, number }
      Object.assign(results, await measurePuts(turn), await measureReads(turn))
    }
    return results
  },
  end: async ({ etcd }) => etcd?.[Symbol.asyncDispose](),
}

interface Turn {
  ground: Ground
  etcd: EtcdServer | undefined
  connections: number
  number: number
}

async function measurePuts({ ground, etcd, connections, number }: Turn) {
  const bare = await runPgbench(ground.database.connection, {
    script: barePut(keys),
    clients: connections,
    seconds: milliseconds / 1000,
  })
  const put = (address: string, { put }: Requests) =>
    runLoad({
      address,
      connections,
      milliseconds,
      request: (connection, count) =>
        put(anyKey(), `{"round":${number},"connection":${connection},"count":${count}}`),
    })
  const own = await put(ground.address, ours)
  const other = etcd && (await put(etcd.address, etcds))
  return {
    [`pgbench, ${connections} clients, /s`]: bare.perSecond,
    ...told(`put, ${connections} connections`, own, other),
    [`put, ${connections} connections, × pgbench`]: own.perSecond / bare.perSecond,
  }
}

async function measureReads({ ground, etcd, connections }: Turn) {
  const get = (address: string, { get }: Requests) =>
    runLoad({ address, connections, milliseconds, request: () => get(anyKey()) })
  const own = await get(ground.address, ours)
  const other = etcd && (await get(etcd.address, etcds))
  return told(`get, ${connections} connections`, own, other)
}

/** The numbers of a load of ours, and of the same of etcd where that was measured. */
function told(title: string, own: LoadResult, etcd: LoadResult | undefined) {
  return {
    ...numbersOf(title, own),
    ...(etcd && {
      ...numbersOf(`etcd ${title}`, etcd),
      [`${title}, × etcd`]: own.perSecond / etcd.perSecond,
    }),
  }
}

function numbersOf(title: string, { perSecond, p50Ms, p99Ms }: LoadResult) {
  return { [`${title}, /s`]: perSecond, [`${title}, p50 ms`]: p50Ms, [`${title}, p99 ms`]: p99Ms }
}

function anyKey(): string {
  return `k${Math.floor(Math.random() * keys)}`
}

/** Puts every key once. */
async function fill(address: string, { putAll }: Requests): Promise<void> {
  const connections = 4
  await runLoad({
    address,
    connections,
    milliseconds: Number.POSITIVE_INFINITY,
    request(connection, count) {
      const first = (count * connections + connection) * keysTogether
      const together = Math.min(keysTogether, keys - first)
      if (together <= 0) return undefined
      return putAll(
        Array.from({ length: together }, (_, index) => `k${first + index}`),
        '{"round":0}',
      )
    },
  })
}
