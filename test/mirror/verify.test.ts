import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { beginning, writeForeignLog } from '../delta-log/foreign-log.ts'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

/** A table with four versions, all of them published. */
async function makeTable(t: Test) {
  const table = await server.makeTable()
  const domain = { domain: 'x', configuration: '{}', removed: false }
  const protocol = {
    minReaderVersion: 1,
    minWriterVersion: 7,
    writerFeatures: ['domainMetadata', 'inCommitTimestamp'],
  }
  await server.commit(table, {
    actions: [{ protocol }, { domainMetadata: domain }, add('a'), add('b%20c')],
  })
  await server.commit(table, {
    actions: [remove('a'), add('d'), { txn: { appId: 'y', version: 1 } }],
  })
  await server.commit(table, { actions: [add('b%20c', { stats: '{"numRecords":11}' })] })
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  const log = join(body.location, '_delta_log')
  const verify = async () => (await server.post(`/tables/${table}/mirror/verify`)).body
  const change = async (version: number, edit: (text: string) => string) => {
    const path = join(log, commitFileName(version))
    await writeFile(path, edit(await readFile(path, 'utf8')))
  }
  const whole = await verify()
  t.match(whole, {
    tableId: table,
    verified: true,
    versions: { from: 0, to: 3, count: 4 },
    numDifferences: 0,
    differences: [],
  })
  return { table, log, verify, change }
}

const file = (version: number) => `_delta_log/${commitFileName(version)}`

t.test('a log is verified with its checkpoint', async (t) => {
  const { table, verify } = await makeTable(t)
  const checkpoint = await server.post(`/tables/${table}/mirror/checkpoint`)
  t.equal(checkpoint.status, 200)
  await server.commit(table, { actions: [remove('d')] })
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  t.match(await verify(), {
    verified: true,
    versions: { to: body.version },
    checkpoint: { version: 3 },
  })
})

t.test('each way in which a log can differ is told', async (t) => {
  const { log, verify, change } = await makeTable(t)
  await change(1, (text) => text.replace('"size":100', '"size":101'))
  t.match(await verify(), {
    verified: false,
    numDifferences: 1,
    differences: [
      {
        version: 1,
        file: file(1),
        line: 4,
        message: 'the line is another',
        ours: /"size":100/,
        theirs: /"size":101/,
      },
    ],
  })
  await change(1, (text) => text.replace('"size":101', '"size":100'))
  await change(2, (text) => `${text}{"add":{}}\n`)
  await change(3, (text) => text.split('\n').slice(0, 1).join('\n'))
  t.match((await verify()).differences, [
    { version: 2, line: 5, message: 'the line is in the log alone', theirs: '{"add":{}}' },
    { version: 3, line: 2, message: 'the line is missing in the log', ours: /^{"add"/ },
  ])
  await rm(join(log, commitFileName(2)))
  await writeFile(join(log, commitFileName(3)), Buffer.from([0xff, 0x0a]))
  await writeFile(join(log, commitFileName(4)), '{}')
  const { differences } = await verify()
  const told = differences.map(
    ({ version, message }: { version: number; message: string }) => `${version} ${message}`,
  )
  t.match(told[0], /^2 .*the file is missing/)
  t.ok(told.some((one: string) => /^3 .*not UTF-8/.test(one)))
  t.equal(told.at(-1), '4 the version was not committed here')
})

t.test('a checkpoint that says something else is told', async (t) => {
  const location = join(server.dataDir, 'tables', 'checkpointed')
  const log = join(location, '_delta_log')
  const name = '00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json'
  const txn = { txn: { appId: 'x', version: 1 } }
  await writeForeignLog(location, [
    [...beginning, txn],
    [add('a'), add('b'), add('c', { tags: null })],
  ])
  await server.post('/tables/import', { name: 'checkpointed', location })
  const verify = async () => (await server.post('/tables/checkpointed/mirror/verify')).body
  const write = (actions: readonly object[]) =>
    writeFile(join(log, name), actions.map((action) => JSON.stringify(action)).join('\n'))
  const same = [
    ...beginning.slice(1),
    txn,
    add('a', { dataChange: false, tags: {} }),
    add('b'),
    add('c'),
  ]
  await write([{ checkpointMetadata: { version: 1 } }, ...same, remove('old')])
  t.match(await verify(), {
    verified: true,
    checkpoint: { version: 1, file: `_delta_log/${name}` },
  })
  await write([
    { protocol: { minReaderVersion: 1, minWriterVersion: 3 } },
    ...beginning.slice(2),
    { txn: { appId: 'z', version: 1 } },
    add('a', { size: 7 }),
    add('c', { stats: '{"numRecords":9}' }),
    add('d'),
  ])
  const { differences } = await verify()
  const messages = differences.map(({ message }: { message: string }) => message).sort()
  t.strictSame(messages, [
    'the add of "a" is another',
    'the add of "c" is another',
    'the checkpoint alone has the add of "d"',
    'the checkpoint alone has the txn of "z"',
    'the checkpoint lacks the add of "b"',
    'the checkpoint lacks the txn of "x"',
    'the protocol is another',
  ])
  await writeFile(join(log, name), '{')
  t.match(await verify(), { verified: false, differences: [{ message: /line 1: is not JSON/ }] })
})

t.test('what was cleaned up is not missed, and a table that is not there is', async (t) => {
  const { table, log, verify } = await makeTable(t)
  await server.post(`/tables/${table}/mirror/checkpoint`)
  await rm(join(log, commitFileName(0)))
  await rm(join(log, commitFileName(1)))
  t.match(await verify(), { verified: true, versions: { from: 2, to: 3, count: 2 } })
  t.match(await server.post('/tables/none/mirror/verify'), { status: 404 })
})
