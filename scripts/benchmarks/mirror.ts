import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addOf } from './bare-database.ts'
import type { Benchmark, Ground } from './benchmark.ts'
import { runLoad } from './http-load.ts'

const tables = 100
const perSecond = 500
const milliseconds = 20_000
const waiting = 10_000

/** How soon commits stand in the log, and how fast one that is behind is caught up, beside a bare loop. */
export const mirror: Benchmark<void> = {
  bar: 'lag p95 under 200 ms at 500 commits/s over 100 tables; 10,000 waiting versions at half the rate of a bare loop',
  prepare: async () => {},
  round: async (ground, _, number) => ({
    ...(await measureLag(ground, number)),
    ...(await measureBacklog(ground, number)),
  }),
}

/** The lag of a commit is from its in-commit timestamp, which is before it is durable, to the last change of its file. */
async function measureLag(ground: Ground, number: number): Promise<Record<string, number>> {
  const logs: { id: string; folder: string }[] = []
  for (let index = 0; index < tables; index += 1) {
    logs.push(await makeTable(ground, `lag_${number}_${index}`))
  }
  for (const { id } of logs) await untilCurrent(ground, id)
  const load = await runLoad({
    address: ground.address,
    connections: 50,
    perSecond,
    milliseconds,
    request: (connection, count) =>
      commitOf(logs[(connection + count * 50) % tables]?.id, `part-${connection}-${count}`),
  })
  for (const { id } of logs) await untilCurrent(ground, id)
  const lags: number[] = []
  for (const { folder } of logs) {
    for (const name of (await namesOfCommits(folder)).slice(1)) {
      const path = join(folder, name)
      const [line = ''] = (await readFile(path, 'utf8')).split('\n', 1)
      const { inCommitTimestamp } = JSON.parse(line).commitInfo
      lags.push((await stat(path)).ctimeMs - inCommitTimestamp)
    }
  }
  lags.sort((a, b) => a - b)
  const at = (share: number) => lags[Math.floor((lags.length - 1) * share)] ?? Number.NaN
  return {
    'lag, commits/s': load.perSecond,
    'lag, p50 ms': at(0.5),
    'lag, p95 ms': at(0.95),
    'lag, p99 ms': at(0.99),
    'lag, most ms': at(1),
  }
}

async function measureBacklog(ground: Ground, number: number): Promise<Record<string, number>> {
  const { id, folder } = await makeTable(ground, `backlog_${number}`)
  await untilCurrent(ground, id)
  await ground.call('POST', `/tables/${id}/mirror/pause`)
  let left = waiting
  await runLoad({
    address: ground.address,
    connections: 64,
    milliseconds: 120_000,
    request(connection, count) {
      left -= 1
      return left < 0 ? undefined : commitOf(id, `part-${connection}-${count}`)
    },
  })
  const begin = performance.now()
  await ground.call('POST', `/tables/${id}/mirror/resume`)
  await untilCurrent(ground, id)
  const rate = (waiting / (performance.now() - begin)) * 1000
  const bare = await bareRate(folder, join(ground.dataDir, `bare-${number}`))
  return {
    'backlog, versions/s': rate,
    'backlog, bare loop, files/s': bare,
    'backlog, × bare loop': rate / bare,
  }
}

/** Writes and syncs the same files, one after the other. */
async function bareRate(folder: string, target: string): Promise<number> {
  const names = (await namesOfCommits(folder)).slice(1)
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name))))
  await mkdir(target)
  const begin = performance.now()
  for (const [index, name] of names.entries()) {
    await using file = await open(join(target, name), 'wx')
    await file.writeFile(texts[index] ?? '')
    await file.sync()
  }
  await using directory = await open(target)
  await directory.sync()
  return (names.length / (performance.now() - begin)) * 1000
}

async function makeTable({ call, dataDir, run }: Ground, name: string) {
  const fields = [{ name: 'id', type: 'long', nullable: true, metadata: {} }]
  const { id } = await call('POST', '/tables', {
    name: `mirror_${run}_${name}`,
    schema: { type: 'struct', fields },
  })
  return { id, folder: join(dataDir, 'tables', id, '_delta_log') }
}

function commitOf(table: string | undefined, path: string) {
  const body = JSON.stringify({ operation: 'WRITE', actions: [{ add: addOf(path) }] })
  return { path: `/tables/${table}/commits`, body }
}

async function namesOfCommits(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^\d{20}\.json$/.test(name)).sort()
}

async function untilCurrent({ call }: Ground, id: string): Promise<void> {
  while ((await call('GET', `/tables/${id}/mirror`)).state !== 'current') await sleep(20)
}
