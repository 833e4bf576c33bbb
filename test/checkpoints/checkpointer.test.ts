import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { writeChecksums } from '../../src/checkpoints/write-checksums.ts'
import { checkpointFileName, checksumFileName, commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { add } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { readCheckpoint } from './read-checkpoint.ts'

const waitMsMax = 20_000

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + waitMsMax
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`it stays so that not: ${what}`)
    await sleep(20)
  }
}

interface Ground {
  server: TestServer
  table: string
  log: string
  commit: (count: number) => Promise<void>
  has: (...names: string[]) => Promise<void>
}

async function ground(t: Test, configuration: Record<string, string>): Promise<Ground> {
  const server = await startTestServer(t)
  const table = await server.makeTable({ configuration })
  const { body } = await server.get(`/tables/${table}`)
  const log = join(body.location, '_delta_log')
  let files = 0
  return {
    server,
    table,
    log,
    async commit(count) {
      for (let index = 0; index < count; index += 1) {
        files += 1
        await server.commit(table, { actions: [add(`f-${files}`)] })
      }
      await server.published(table)
    },
    has: (...names) =>
      until(`${names} are there`, async () => {
        const there = await readdir(log)
        return names.every((name) => there.includes(name))
      }),
  }
}

t.test('checksums are written of the tables that were published, or of all', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const { db, storage } = server
  const tables = [await server.makeTable(), await server.makeTable()]
  const [one = '', other = ''] = tables
  for (const table of tables) await server.commit(table, { actions: [add('a')] })
  const swept = new Set<string>()
  const write = (tableIds?: string[]) => writeChecksums(db, tableIds, { storage, swept })
  t.match(await write(tables), { done: [], versions: 0 })
  await publishTables(db, { tableIds: tables, storage, sweep: false })
  t.match(await write([one]), { done: [one], versions: 2 })
  t.match(await write([one]), { done: [], versions: 0 })
  t.match(await write(), { done: [other], versions: 2 })
})

t.test('a checkpoint is written whenever an interval is full', async (t) => {
  const { log, commit, has } = await ground(t, { 'delta.checkpointInterval': '3' })
  await commit(2)
  await has(checksumFileName(2))
  await commit(5)
  await has(checkpointFileName(6), checksumFileName(7))
  const rows = await readCheckpoint(log, checkpointFileName(6))
  t.equal(rows.filter((row) => row['add']).length, 6)
  await until('the pointer leads there', async () => {
    const text = await readFile(join(log, '_last_checkpoint'), 'utf8').catch(() => '{}')
    return JSON.parse(text).version === 6
  })
  const names = await readdir(log)
  t.notOk(names.includes(checkpointFileName(7)))
  t.notOk(names.includes(checkpointFileName(0)))
})

t.test('what another server left undone is found, and a claim of the dead runs out', async (t) => {
  const first = await startTestServer(t, {}, { mirror: false })
  const table = await first.makeTable({ configuration: { 'delta.checkpointInterval': '2' } })
  for (const name of ['a', 'b', 'c']) await first.commit(table, { actions: [add(name)] })
  await publishTables(first.db, { tableIds: [table], storage: first.storage, sweep: true })
  await sql`update checkpoints set claimed_until = clock_timestamp() + interval '1 s'`.execute(
    first.db,
  )
  await startTestServer(t, {}, { beside: first })
  const log = join((await first.get(`/tables/${table}`)).body.location, '_delta_log')
  await until('its checkpoint is there', async () =>
    (await readdir(log)).includes(checkpointFileName(2)),
  )
})

t.test('each version has a checksum that is what the API tells', async (t) => {
  const { server, table, log, commit, has } = await ground(t, {
    'delta.feature.domainMetadata': 'supported',
  })
  await commit(1)
  const domain = (removed: boolean) => ({
    domainMetadata: { domain: 'd', configuration: '{}', removed },
  })
  const changes = [
    [{ txn: { appId: 'a', version: 1 } }, domain(false)],
    [{ txn: { appId: 'a', version: 2 } }, { txn: { appId: 'b', version: 1 } }],
    [domain(true)],
  ]
  for (const actions of changes) await server.commit(table, { actions })
  await commit(3)
  await has(...[0, 1, 2, 3, 4, 5, 6, 7].map(checksumFileName))
  for (const version of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const checksum = JSON.parse(await readFile(join(log, checksumFileName(version)), 'utf8'))
    const { body } = await server.get(`/tables/${table}/snapshot?version=${version}`)
    t.strictSame(
      checksum,
      {
        tableSizeBytes: body.statistics.sizeInBytes,
        numFiles: body.statistics.numFiles,
        numMetadata: 1,
        numProtocol: 1,
        inCommitTimestampOpt: body.inCommitTimestamp,
        setTransactions: body.appTransactions,
        domainMetadata: body.domainMetadata,
        metadata: body.metadata,
        protocol: body.protocol,
      },
      `version ${version}`,
    )
  }
})

t.test('more app transactions than a checksum holds are left out of it', async (t) => {
  const { server, table, log, commit, has } = await ground(t, {})
  const txns = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({
      txn: { appId: `a-${from + index}`, version: 1 },
    }))
  await server.commit(table, { actions: txns(0, 100) })
  await server.commit(table, { actions: txns(100, 1) })
  await commit(1)
  await has(checksumFileName(3))
  const counts = await Promise.all(
    [0, 1, 2, 3].map(async (version) => {
      const text = await readFile(join(log, checksumFileName(version)), 'utf8')
      return JSON.parse(text).setTransactions?.length
    }),
  )
  t.strictSame(counts, [0, 100, undefined, undefined])
})

t.test('a checkpoint that cannot be written is tried again, and holds up nothing', async (t) => {
  const { server, table, log, commit, has } = await ground(t, { 'delta.checkpointInterval': '2' })
  const obstacle = join(log, checkpointFileName(2))
  await mkdir(obstacle, { recursive: true })
  await commit(2)
  const failed = () =>
    sql<{ attempts: number }>`select attempts from checkpoints where table_id = ${table}::uuid
      and attempts > 0 and last_error is not null and next_retry_at > clock_timestamp()`
      .execute(server.db)
      .then(({ rows }) => rows.length === 1)
  await until('the failure is noted', failed)
  await commit(1)
  await has(commitFileName(3))
  await rm(obstacle, { recursive: true })
  await sql`update checkpoints set next_retry_at = clock_timestamp()`.execute(server.db)
  await has(checkpointFileName(2), '_last_checkpoint', checksumFileName(3))
})

t.test('a table whose folder is in the way fails alone', async (t) => {
  const { server, commit, log, has } = await ground(t, {})
  await mkdir(join(log, checksumFileName(1)), { recursive: true })
  const other = await server.makeTable()
  const { body } = await server.get(`/tables/${other}`)
  await commit(1)
  await until('the other has its checksum', async () =>
    (await readdir(join(body.location, '_delta_log')).catch((): string[] => [])).includes(
      checksumFileName(0),
    ),
  )
  await rm(join(log, checksumFileName(1)), { recursive: true })
  await sql`update checkpoints set next_retry_at = null`.execute(server.db)
  await has(checksumFileName(1))
})

t.test('a checkpoint that was asked for', async (t) => {
  await t.test('is answered once for each key', async (t) => {
    const { server, table, log, commit } = await ground(t, {})
    await commit(1)
    const key = { 'idempotency-key': 'k-1' }
    const first = await server.post(`/tables/${table}/mirror/checkpoint`, undefined, key)
    t.equal(first.status, 200, first.text)
    t.ok(first.headers.get('consistency-token'))
    await commit(1)
    const again = await server.post(`/tables/${table}/mirror/checkpoint`, undefined, key)
    t.equal(again.text, first.text)
    t.equal(again.headers.get('idempotency-replayed'), 'true')
    t.notOk((await readdir(log)).includes(checkpointFileName(2)))
    const other = await server.post(`/tables/${table}/mirror/resume`, undefined, key)
    t.match(other, { status: 422, body: { code: 'idempotency-key-reused' } })
  })

  await t.test('may be asked for twice, and what is there stays', async (t) => {
    const { server, table, log } = await ground(t, {})
    await server.published(table)
    const bytes = async () =>
      createHash('sha256')
        .update(await readFile(join(log, checkpointFileName(0))))
        .digest('hex')
    const ask = () => server.post(`/tables/${table}/mirror/checkpoint`)
    const answers = await Promise.all([ask(), ask(), ask()])
    const before = await bytes()
    t.strictSame(
      answers.map(({ status }) => status),
      [200, 200, 200],
    )
    t.equal((await ask()).status, 200)
    t.equal(await bytes(), before)
  })

  await t.test('tells what stands in its way', async (t) => {
    const { server, table, log } = await ground(t, {})
    await server.published(table)
    await mkdir(join(log, checkpointFileName(0)))
    const ask = () =>
      server.post(`/tables/${table}/mirror/checkpoint`, undefined, { 'idempotency-key': 'k-2' })
    t.match(await ask(), { status: 503, body: { code: 'storage-unavailable' } })
    await rm(join(log, checkpointFileName(0)), { recursive: true })
    t.match(await ask(), { status: 200 })
  })

  await t.test('is refused while nothing may be written', async (t) => {
    const { server, table } = await ground(t, {})
    await server.published(table)
    const refusal = { status: 409, body: { code: 'checkpoint-not-possible' } }
    await server.post(`/tables/${table}/mirror/pause`)
    t.match(await server.post(`/tables/${table}/mirror/checkpoint`), refusal)
    await server.post(`/tables/${table}/mirror/resume`)
    t.match(await server.post(`/tables/${table}/mirror/checkpoint`), { status: 200 })
    t.match(await server.post('/tables/nowhere/mirror/checkpoint'), { status: 404 })
    const still = await startTestServer(t, {}, { mirror: false })
    const unpublished = await still.makeTable()
    t.match(await still.post(`/tables/${unpublished}/mirror/checkpoint`), refusal)
  })
})

t.test('what has expired goes from the log, and can still be read here', async (t) => {
  const old = 40 * 86_400_000
  const age = ({ server, table }: Ground, versions: number) =>
    sql`update commits set in_commit_timestamp = in_commit_timestamp - ${old}
      where table_id = ${table}::uuid and version < ${versions}`.execute(server.db)
  const versionsOf = (names: readonly string[]) =>
    names.flatMap((name) => (/^\d{20}\.json$/.test(name) ? Number(name.slice(0, 20)) : []))

  await t.test('behind a checkpoint, with checksums and older checkpoints', async (t) => {
    const on = await ground(t, {})
    const { server, table, log, commit, has } = on
    const checkpoint = () => server.post(`/tables/${table}/mirror/checkpoint`)
    await commit(2)
    await checkpoint()
    await commit(3)
    await checkpoint()
    await commit(4)
    await has(checksumFileName(9))
    await age(on, 8)
    await checkpoint()
    const names = (await readdir(log)).sort()
    t.strictSame(versionsOf(names), [5, 6, 7, 8, 9])
    t.strictSame(
      names.filter((name) => name.includes('checkpoint')),
      [checkpointFileName(5), checkpointFileName(9), '_last_checkpoint'],
    )
    t.strictSame(
      names.filter((name) => name.endsWith('.crc')),
      [5, 6, 7, 8, 9].map(checksumFileName),
    )
    t.equal((await server.get(`/tables/${table}/commits/1`)).status, 200)
    t.equal((await server.get(`/tables/${table}/snapshot?version=1`)).status, 200)
    const { text } = await server.get('/metrics')
    t.match(text, /^deltaworks_log_files_removed_total 11$/m)
  })

  await t.test('not while no checkpoint is as old', async (t) => {
    const on = await ground(t, {})
    await on.commit(3)
    await age(on, 2)
    await on.server.post(`/tables/${on.table}/mirror/checkpoint`)
    t.strictSame(versionsOf((await readdir(on.log)).sort()), [0, 1, 2, 3])
  })

  for (const configuration of [
    { 'delta.enableExpiredLogCleanup': 'false' },
    { 'delta.logRetentionDuration': 'interval 60 days' },
    { 'delta.requireCheckpointProtectionBeforeVersion': '7' },
  ]) {
    await t.test(`not with ${JSON.stringify(configuration)}`, async (t) => {
      const on = await ground(t, configuration)
      await on.commit(2)
      await on.server.post(`/tables/${on.table}/mirror/checkpoint`)
      await on.commit(2)
      await age(on, 4)
      await on.server.post(`/tables/${on.table}/mirror/checkpoint`)
      t.strictSame(versionsOf((await readdir(on.log)).sort()), [0, 1, 2, 3, 4])
    })
  }
})
