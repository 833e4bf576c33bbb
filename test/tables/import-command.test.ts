import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { runImport } from '../../src/tables/import/import-command.ts'
import { beginning, writeForeignLog } from '../delta-log/foreign-log.ts'
import { add } from '../support/api.ts'
import { copyPoolOf } from '../support/postgres.ts'
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
  for (const [args, stderr] of cases) {
    t.match(await runCommand(t, args, { DATA_DIR: dataDir }), { code: 1, stdout: /^$/, stderr })
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
  t.equal(written.at(-2), '\r\u001b[K')
  t.match(written.at(-1), /^"seen" is imported/)
})
