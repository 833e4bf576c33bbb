import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { readLog } from '../faults/table-end.ts'
import { add, remove } from '../support/api.ts'
import { runCommand } from '../support/process.ts'
import { withoutS3 } from '../support/s3-server.ts'
import { startOnS3 } from '../support/server-on-s3.ts'

const ndjson = { accept: 'application/x-ndjson' }

t.test('tables in S3 are taken over', { skip: withoutS3 }, async (t) => {
  const { server, proxy, root, settings, folderOf } = await startOnS3(t)
  const table = await server.makeTable({ name: 'orders', location: `${root}/orders` })
  const txn = { txn: { appId: 'loader', version: 7 } }
  const many = Array.from({ length: 2000 }, (_, at) => add(`part ${at}`))
  await server.commit(table, { actions: [...many, txn] })
  await server.commit(table, { actions: [remove('part 7'), add('b')] })
  await server.published(table)
  t.match(await server.post(`/tables/${table}/mirror/checkpoint`), { body: { version: 2 } })
  await server.commit(table, { actions: [add('c')] })
  await server.published(table)
  const log = folderOf('orders/_delta_log')
  const stateOf = async (name: string, version: number) => {
    const { text } = await server.get(`/tables/${name}/files?version=${version}`, ndjson)
    const { body } = await server.get(`/tables/${name}/snapshot?version=${version}`)
    return { files: text.split('\n').sort(), ...body }
  }
  const importAs = (name: string) =>
    server.post('/tables/import', { name, location: `${root}/${name}` })

  await t.test('with their commits, and live on', async (t) => {
    await cp(log, folderOf('whole/_delta_log'), { recursive: true })
    t.match(await importAs('whole'), { status: 201, body: { version: 3, historyFrom: 0 } })
    for (const version of [0, 1, 2, 3]) {
      t.strictSame((await stateOf('whole', version)).files, (await stateOf(table, version)).files)
    }
    t.match(await server.commit('whole', { actions: [add('d')] }), { status: 201 })
    await server.published('whole')
    t.equal((await readLog(folderOf('whole/_delta_log'))).size, 5)
    const verified = await server.post('/tables/whole/mirror/verify')
    t.match(verified, { status: 200, body: { numDifferences: 0 } })
  })

  const cutOff = async (name: string) => {
    const target = folderOf(`${name}/_delta_log`)
    await cp(log, target, { recursive: true })
    for (const version of [0, 1, 2]) await rm(join(target, commitFileName(version)))
  }

  await t.test('from a checkpoint, a small one in one piece', async (t) => {
    await cutOff('late')
    const reads = proxy.seen.length
    const answer = await importAs('late')
    t.match(answer, {
      status: 201,
      body: { version: 3, historyFrom: 2, imported: { commitsFrom: 3, appTransactions: 1 } },
    })
    const pieces = proxy.seen.slice(reads).filter((one) => /^GET .*checkpoint\.parquet/.test(one))
    t.equal(pieces.length, 1)
    for (const version of [2, 3]) {
      const [late, own] = [await stateOf('late', version), await stateOf(table, version)]
      t.strictSame(late.files, own.files, `version ${version}`)
      t.strictSame(late.appTransactions, own.appTransactions)
      t.match(late.statistics, own.statistics)
    }
  })

  await t.test('not while S3 breaks off, and then after all', async (t) => {
    await cutOff('broken')
    const away = proxy.fault({
      on: ({ method, url }) => method === 'GET' && /checkpoint\.parquet/.test(url),
      times: 1e6,
      before: () => 'drop',
    })
    t.match(await importAs('broken'), { status: 503, body: { code: 'storage-unavailable' } })
    t.ok(away.struck() > 0)
    away.end()
    t.match(await server.get('/tables/broken'), { status: 404 })
    t.match(await importAs('broken'), { status: 201, body: { version: 3 } })
  })

  await t.test('by the command as well', async (t) => {
    await cutOff('commanded')
    const own = { ...settings, DATABASE_URL: server.database.url, DATA_DIR: server.dataDir }
    const location = `${root}/commanded`
    const imported = await runCommand(t, ['import', 'commanded', location], own)
    t.match(imported, { code: 0, stderr: /^$/, stdout: /versions +2 to 3, the oldest from 0+2\./ })
    t.match(await server.get('/tables/commanded'), { body: { location, version: 3 } })
    const verified = await runCommand(t, ['verify', 'commanded'], own)
    t.match(verified, { code: 0, stdout: /say what the database says\.\n$/ })
    const nothing = await runCommand(t, ['import', 'none', `${root}/none`], own)
    t.match(nothing, { code: 1, stderr: /there is no commit and no checkpoint/ })
    t.notOk((await readdir(folderOf('.'))).includes('none'), 'nothing is made')
  })
})
