import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { checkHistory } from '../faults/check-history.ts'
import { readLog, readTableEnd } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { isOfCommits } from '../support/log-names.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

t.test('a reader that looks all the time never sees a gap or half a file', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const commits = 60
  const reader = watchLog(logOf(server, table), commits)
  for (let commit = 1; commit <= commits; commit += 1) {
    // More than the mirror reads and writes at once.
    const count = commit % 15 === 0 ? 6000 : 20
    const actions = Array.from({ length: count }, (_, index) => add(`file-${commit}-${index}`))
    t.match(await server.commit(table, { actions }), { status: 201 })
  }
  const { seen, faults, looks } = await reader
  t.strictSame(faults, [])
  t.ok(looks > 10, `it looked ${looks} times`)
  t.strictSame([...seen], [...(await readLog(logOf(server, table)))], 'and no file changes')
  t.strictSame(
    checkHistory(await historyOf(server, table), [await readTableEnd(server, table)]),
    [],
  )
})

t.test('a folder that cannot be written holds up no other table, and recovers', async (t) => {
  const server = await startTestServer(t)
  const [broken, sound] = [await server.makeTable(), await server.makeTable()]
  await server.published(broken)
  const log = logOf(server, broken)
  await rename(log, `${log}-aside`)
  await writeFile(log, 'a file in the place of the folder')
  await server.commit(broken, { actions: [add('a')] })
  const state = await seeState(server, broken, 'retrying')
  t.match(state, { publishedVersion: 0, pending: 1, lastError: /not a folder/ })
  t.ok(Date.parse(state.nextRetryAt) > 0, state.nextRetryAt)
  await server.commit(sound, { actions: [add('a')] })
  await server.published(sound)
  await rm(log)
  await rename(`${log}-aside`, log)
  await server.published(broken)
  t.strictSame([...(await readLog(log)).keys()], [commitFileName(0), commitFileName(1)])
})

t.test('a fork holds up no other table, and does not make the server unready', async (t) => {
  const server = await startTestServer(t, { mirrorLagMsMax: 1000 })
  const [forked, sound] = [await server.makeTable(), await server.makeTable()]
  await server.published(forked)
  await writeFile(join(logOf(server, forked), commitFileName(1)), 'foreign\n')
  await server.commit(forked, { actions: [add('a')] })
  const state = await seeState(server, forked, 'forked')
  t.match(state, { publishedVersion: 0, pending: 1, lastError: /^Version 1/ })
  t.equal(await readFile(join(logOf(server, forked), commitFileName(1)), 'utf8'), 'foreign\n')
  await server.commit(sound, { actions: [add('a')] })
  await server.published(sound)
  while ((await seeState(server, forked, 'forked')).lagMs <= 1000) await sleep(20)
  t.match(await server.get('/health/ready'), { status: 200, body: { checks: { mirror: 'ok' } } })
})

t.test('what fell behind while no mirror ran is published by the next', async (t) => {
  const first = await startTestServer(t, {}, { mirror: false })
  const tables = await Promise.all([1, 2, 3, 4, 5, 6].map(() => first.makeTable()))
  await Promise.all(tables.map((table) => first.commit(table, { actions: [add('a')] })))
  const second = await startTestServer(t, {}, { beside: first })
  for (const table of tables) {
    await second.published(table)
    t.strictSame(
      [...(await readLog(logOf(first, table))).keys()],
      [0, 1].map((version) => commitFileName(version)),
    )
  }
})

t.test('two servers over one database publish each version once', async (t) => {
  const one = await startTestServer(t)
  const two = await startTestServer(t, {}, { beside: one })
  const table = await one.makeTable()
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      (index % 2 === 0 ? one : two).commit(table, { actions: [add(`file-${index}`)] }),
    ),
  )
  t.strictSame(
    answers.filter(({ status }) => status !== 201),
    [],
  )
  await two.published(table)
  t.strictSame(checkHistory(await historyOf(one, table), [await readTableEnd(one, table)]), [])
  const warnings = [...one.logged, ...two.logged].filter(({ level }) => Number(level) >= 40)
  t.strictSame(warnings, [])
})

function logOf(server: TestServer, table: string): string {
  return join(server.dataDir, 'tables', table, '_delta_log')
}

/** The wishes of a history in which everything that is there was wanted. */
async function historyOf(server: TestServer, table: string) {
  await server.published(table)
  const { commits } = await readTableEnd(server, table)
  return commits.slice(1).map(({ lines }) => ({
    table,
    adds: lines
      .trim()
      .split('\n')
      .flatMap((line) => JSON.parse(line).add?.path ?? []),
    removes: [],
    answers: [],
    open: 0,
  }))
}

/** Reads a log again and again, each file once, until it has seen this version. */
async function watchLog(folder: string, lastVersion: number) {
  const seen = new Map<string, string>()
  const faults: string[] = []
  for (let looks = 1; ; looks += 1) {
    const names = await readdir(folder).catch(() => [])
    const visible = names.filter((name) => !name.startsWith('.') && isOfCommits(name)).sort()
    for (const [index, name] of visible.entries()) {
      if (name !== commitFileName(index)) faults.push(`${name} stands in the place of ${index}`)
      if (seen.has(name)) continue
      const text = await readFile(join(folder, name), 'utf8')
      seen.set(name, text)
      if (!isWhole(text)) faults.push(`${name} was seen half written`)
    }
    if (seen.size > lastVersion) return { seen, faults, looks }
    await sleep(1)
  }
}

/** Whole lines of JSON, commitInfo first. */
function isWhole(text: string): boolean {
  if (!text.startsWith('{"commitInfo"') || !text.endsWith('\n')) return false
  try {
    for (const line of text.trim().split('\n')) JSON.parse(line)
    return true
  } catch {
    return false
  }
}

async function seeState(server: TestServer, table: string, state: string) {
  for (;;) {
    const { body } = await server.get(`/tables/${table}/mirror`)
    if (body.state === state) return body
    await sleep(10)
  }
}
