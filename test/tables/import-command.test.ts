import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { runImport } from '../../src/tables/import/import-command.ts'
import { importTable } from '../../src/tables/import/import-table.ts'
import type { ReadProgress } from '../../src/tables/import/read-history.ts'
import { beginning, writeForeignLog } from '../delta-log/foreign-log.ts'
import { add } from '../support/api.ts'
import { copyPoolOf, createTestDatabase } from '../support/postgres.ts'
import { makeDataDir, runCommand } from '../support/process.ts'
import { startTestServer } from '../support/server.ts'

async function makeForeign(t: Test) {
  const server = await startTestServer(t)
  const location = join(server.dataDir, 'tables', 'foreign')
  const many = Array.from({ length: 3000 }, (_, index) => add(`f${index}`))
  await writeForeignLog(location, [beginning, many, [{ txn: { appId: 'x', version: 1 } }]])
  return { server, location }
}

t.test('the commands import a table and verify it, beside a server', async (t) => {
  const { server, location } = await makeForeign(t)
  const settings = { DATABASE_URL: server.database.url, DATA_DIR: server.dataDir }
  const imported = await runCommand(t, ['import', 'sales.returns', location], settings)
  t.match(imported, { code: 0, stderr: /^$/ })
  const { body } = await server.get('/tables/sales.returns')
  t.equal(
    imported.stdout,
    [
      `"sales.returns" is imported as ${body.id}.`,
      '  versions      0 to 2',
      '  files         3000, 300000 bytes',
      '  actions read  3004',
      '  applications  1',
      '  domains       0',
      '',
    ].join('\n'),
  )
  const verify = () => runCommand(t, ['verify', 'sales.returns'], settings)
  t.match(await verify(), {
    code: 0,
    stdout: 'sales.returns: versions 0 to 2 say what the database says.\n',
  })
  await writeFile(join(location, '_delta_log', commitFileName(2)), '{"txn":{}}')
  t.match(await verify(), {
    code: 1,
    stdout:
      /^sales\.returns: 1 differences in versions 0 to 2\.\n_delta_log\/0+2\.json, line 1: the line is another\n {2}ours .*\n {2}theirs {2}\{"txn":\{\}\}\n$/,
  })
})

t.test('what is refused is said in one line', async (t) => {
  const dataDir = await makeDataDir(t)
  const cases: [string[], RegExp][] = [
    [['import', 'a b', '/nowhere'], /^The name "a b" must be .*\n$/],
    [['import', 'sales', '/nowhere'], /^The location cannot be used\. .*\n$/],
    [
      ['import', 'sales', join(dataDir, 'tables/none')],
      /there is no commit and no checkpoint.*\n$/,
    ],
    [['verify', 'sales'], /^No table has the name "sales".*\n$/],
  ]
  const { url, drop } = await createTestDatabase()
  t.teardown(drop)
  const settings = { DATA_DIR: dataDir, DATABASE_URL: url }
  for (const [args, stderr] of cases) {
    t.match(await runCommand(t, args, settings), { code: 1, stdout: /^$/, stderr })
  }
})

t.test('a terminal sees a bar that goes away, and others see lines', async (t) => {
  const { server, location } = await makeForeign(t)
  const stagePool = copyPoolOf(server.database.connection)
  t.teardown(() => stagePool.end())
  const { db, storage } = server
  const context = { db, storage, stagePool, idempotencyRetentionMs: 1000 }
  const written: string[] = []
  const output = { isTTY: true, write: (text: string) => written.push(text) }
  await runImport(context, { name: 'seen', location }, output)
  t.match(written[0], /^\r\[-{30}\] 0 % of 0\.4 MB read, 3 actions/)
  t.equal(
    written.at(-3),
    `\r[${'#'.repeat(30)}] 100 % of 0.4 MB read, 3004 actions, being stored\u001b[K`,
  )
  t.equal(written.at(-2), '\r\u001b[K')
  t.match(written.at(-1), /^"seen" is imported/)
})

t.test('what was read is told while one large commit or checkpoint is read', async (t) => {
  const server = await startTestServer(t)
  const stagePool = copyPoolOf(server.database.connection)
  t.teardown(() => stagePool.end())
  const context = { ...server, stagePool, idempotencyRetentionMs: 1000 }
  const table = await server.makeTable({
    configuration: { 'delta.feature.v2Checkpoint': 'supported' },
  })
  const actions = Array.from({ length: 6000 }, (_, index) => add(`f${index}`))
  await server.commit(table, { actions })
  await server.published(table)
  const { body: checkpoint } = await server.post(`/tables/${table}/mirror/checkpoint`)
  const own = join(server.dataDir, 'tables', table, '_delta_log')
  const readingOf = async (name: string) => {
    const told: ReadProgress[] = []
    const location = join(server.dataDir, 'tables', name)
    const onProgress = (progress: ReadProgress) => told.push({ ...progress })
    const answer = () => ({ status: 201, headers: {}, body: '' })
    await importTable(context, { name, location, onProgress }, { idempotent: undefined, answer })
    const { body } = await server.get(`/tables/${name}`)
    t.match(body.statistics, { numFiles: 6000 })
    const bytes = told.map((one) => one.bytes)
    t.strictSame(
      bytes,
      bytes.toSorted((a, b) => a - b),
      'it rises',
    )
    t.equal(told.at(-1)?.bytes, told.at(-1)?.bytesTotal)
    return told
  }

  await t.test('a commit', async (t) => {
    const log = join(server.dataDir, 'tables', 'commits', '_delta_log')
    await cp(own, log, { recursive: true })
    await rm(join(log, '_last_checkpoint'))
    const told = await readingOf('commits')
    const within = told.filter(({ bytes, bytesTotal }) => bytes > 10_000 && bytes < bytesTotal)
    t.ok(new Set(within.map(({ bytes }) => bytes)).size >= 5, `${within.length} times`)
  })

  await t.test('a checkpoint with sidecars, whose sizes it tells itself', async (t) => {
    const log = join(server.dataDir, 'tables', 'sidecars', '_delta_log')
    const [{ path, sizeInBytes }] = checkpoint.files
    await mkdir(join(log, '_sidecars'), { recursive: true })
    await cp(join(own, path), join(log, '_sidecars', 'files.parquet'))
    const first = await readFile(join(own, commitFileName(0)), 'utf8')
    const sidecar = { path: 'files.parquet', sizeInBytes, modificationTime: 1 }
    const top = [{ checkpointMetadata: { version: 1 } }, { sidecar }].map((one) =>
      JSON.stringify(one),
    )
    const state = first.split('\n').filter((line) => /^\{"(protocol|metaData)"/.test(line))
    const name = `${'1'.padStart(20, '0')}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json`
    await writeFile(join(log, name), [...top, ...state].join('\n'))
    const told = await readingOf('sidecars')
    t.ok((told[0]?.bytes ?? 0) < sizeInBytes / 2, 'it does not begin at its end')
    t.ok((told.at(-1)?.bytesTotal ?? 0) > sizeInBytes)
  })
})
