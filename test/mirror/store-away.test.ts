import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { readLog } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

t.test('a store that is away is left alone, told of, and taken up again', async (t) => {
  const server = await startTestServer(t, { mirrorLagMsMax: 1500 })
  const tables: string[] = []
  for (let number = 0; number < 8; number += 1) tables.push(await server.makeTable())
  for (const table of tables) await server.published(table)
  t.match(await server.get('/health/ready'), { status: 200 })
  const current = 'deltaworks_mirror_tables{state="current"}'
  const before = await until(async () => {
    const metrics = await readMetrics(server)
    return metrics.get(current) === tables.length ? metrics : undefined
  })
  t.equal(before.get('deltaworks_mirror_published_versions_total'), tables.length)
  t.equal(before.get('deltaworks_mirror_resting_stores{store="local"}'), undefined)
  const root = join(server.dataDir, 'tables')
  await rename(root, `${root}-away`)
  await writeFile(root, 'no folder')
  for (const table of tables) await server.commit(table, { actions: [add('a')] })

  await t.test('after some failures none is tried any more', async (t) => {
    await logged(server, /left alone/)
    const failures = await countFailures(server)
    t.ok(failures >= 5, `${failures} attempts failed`)
    await sleep(600)
    t.ok((await countFailures(server)) <= failures + 3, 'but for those under way')
    const metrics = await readMetrics(server)
    t.equal(metrics.get('deltaworks_mirror_resting_stores{store="local"}'), 1)
  })

  await t.test('the server is not ready once the lag is too long, and says why', async (t) => {
    const { body } = await until(async () => {
      const answer = await server.get('/health/ready')
      return answer.status === 503 ? answer : undefined
    })
    t.strictSame(body.checks, { database: 'ok', migrations: 'ok', mirror: 'failed' })
    t.match(body.reasons, [/^8 tables wait to be published, the longest for \d+ s$/])
    t.match(body.notes, [/^nothing is published to the store local for now/])
    const metrics = await readMetrics(server)
    t.equal(metrics.get('deltaworks_mirror_pending_versions'), 8)
    t.ok(Number(metrics.get('deltaworks_mirror_lag_seconds')) > 1.5)
    t.match(await server.get('/mirror'), { body: { items: tables.map(() => ({ pending: 1 })) } })
  })

  await t.test('once it is back all is published, without anybody asking', async (t) => {
    await rm(root)
    await rename(`${root}-away`, root)
    for (const table of tables) await server.published(table)
    await logged(server, /works again/)
    const { body } = await until(async () => {
      const answer = await server.get('/health/ready')
      return answer.status === 200 ? answer : undefined
    })
    t.notOk('notes' in body)
    const metrics = await readMetrics(server)
    t.equal(metrics.get('deltaworks_mirror_resting_stores{store="local"}'), undefined)
    t.equal(metrics.get('deltaworks_mirror_published_versions_total'), 16)
    for (const table of tables) {
      t.equal((await readLog(join(root, table, '_delta_log'))).size, 2)
    }
  })
})

t.test('who asks for a retry does not wait until the store is tried again', async (t) => {
  // It looks once, so that nothing is tried but what is asked for.
  const server = await startTestServer(t, { mirrorPollMs: 1_000_000 })
  const tables: string[] = []
  for (let number = 0; number < 6; number += 1) tables.push(await server.makeTable())
  const [first = ''] = tables
  for (const table of tables) await server.published(table)
  const root = join(server.dataDir, 'tables')
  await rename(root, `${root}-away`)
  await writeFile(root, 'no folder')
  for (const table of tables) await server.commit(table, { actions: [add('a')] })
  await logged(server, /left alone/)
  await until(async () => ((await countFailures(server)) >= 5 ? true : undefined))
  // Each makes the store rest for twice as long, in the end for longer than a table is waited for.
  for (let retry = 0; retry < 6; retry += 1) {
    const failures = await countFailures(server)
    await server.post(`/tables/${first}/mirror/retry`)
    await until(async () => ((await countFailures(server)) > failures ? true : undefined))
  }
  await rm(root)
  await rename(`${root}-away`, root)
  await server.post(`/tables/${first}/mirror/retry`)
  await server.published(first)
})

/** The metrics of the mirror by name and labels. */
async function readMetrics(server: TestServer): Promise<Map<string, number>> {
  const { text } = await server.get('/metrics')
  const lines = text.split('\n').filter((line) => line.startsWith('deltaworks_mirror_'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

async function countFailures(server: TestServer): Promise<number> {
  const metrics = [...(await readMetrics(server))]
  const failures = metrics.filter(([name]) => name.startsWith('deltaworks_mirror_failures_total'))
  return failures.reduce((sum, [, count]) => sum + count, 0)
}

async function logged({ logged: lines }: TestServer, message: RegExp): Promise<void> {
  await until(async () => (lines.some(({ msg }) => message.test(String(msg))) ? true : undefined))
}

async function until<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(20)
  }
}
