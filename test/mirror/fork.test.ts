import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { readLog } from '../faults/table-end.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const foreignInfo = {
  timestamp: 1_790_000_000_000,
  inCommitTimestamp: 1_790_000_000_001,
  operation: 'WRITE',
  operationParameters: { mode: 'Append' },
  engineInfo: 'another writer',
}
const foreign = `${JSON.stringify({ commitInfo: foreignInfo })}\n${JSON.stringify(add('theirs'))}\n`

t.test('a fork shows what either side has', async (t) => {
  const { server, table, publish, path, foreignFile } = await publishedTable(t)
  await foreignFile(1, foreign)
  await foreignFile(2, 'their next\n')
  await foreignFile(4, 'behind a gap\n')
  const { body: commit } = await server.commit(table, {
    operation: 'MERGE',
    engineInfo: 'ours',
    actions: [add('ours'), add('more of ours')],
  })
  t.match(await publish(), { kind: 'forked', failure: 'forked', error: /^Version 1/ })
  const { text: lines } = await server.get(`/tables/${table}/commits/1`, ndjson)
  const { body } = await server.get(path)
  t.strictSame(body.fork, {
    version: 1,
    ours: {
      commitInfo: {
        operation: 'MERGE',
        engineInfo: 'ours',
        timestamp: commit.inCommitTimestamp,
        isBlindAppend: true,
      },
      inCommitTimestamp: commit.inCommitTimestamp,
      sizeInBytes: lines.length,
      sha256: sha256(lines),
    },
    theirs: {
      commitInfo: {
        operation: 'WRITE',
        engineInfo: 'another writer',
        timestamp: foreignInfo.timestamp,
      },
      inCommitTimestamp: foreignInfo.inCommitTimestamp,
      sizeInBytes: foreign.length,
      sha256: sha256(foreign),
      modifiedAt: body.fork.theirs.modifiedAt,
      lastVersion: 2,
    },
  })
  t.ok(Math.abs(Date.parse(body.fork.theirs.modifiedAt) - Date.now()) < 600_000)
  t.match(await publish(), { kind: 'idle' }, 'it rests')
})

t.test('what is told of a fork is bounded, whatever somebody has put there', async (t) => {
  const { server, table, publish, path, foreignFile } = await publishedTable(t)
  const text = 'x'.repeat(1_000_000)
  const huge = JSON.stringify({ commitInfo: { operation: 'W', engineInfo: text, [text]: text } })
  await foreignFile(1, `${huge}\n${text}`)
  await server.commit(table, { actions: [add('a')] })
  await publish()
  const { body, text: answer } = await server.get(path)
  t.equal(body.fork.theirs.sizeInBytes, huge.length + 1 + text.length)
  t.ok(answer.length < 2000, `${answer.length} characters`)
})

t.test('a large commit of ours is told whole', async (t) => {
  const { server, table, publish, path, foreignFile } = await publishedTable(t)
  await foreignFile(1, '')
  const actions = Array.from({ length: 4500 }, (_, index) => add(`file-${index}`))
  await server.commit(table, { actions })
  await publish()
  const { text: lines } = await server.get(`/tables/${table}/commits/1`, ndjson)
  t.match((await server.get(path)).body.fork, {
    ours: { sizeInBytes: lines.length, sha256: sha256(lines) },
    theirs: { sizeInBytes: 0, sha256: sha256(''), lastVersion: 1 },
  })
})

t.test('what somebody wrote behind the newest version is found by a retry', async (t) => {
  const { server, table, publish, path, foreignFile, log } = await publishedTable(t)
  t.match(await server.post(`${path}/retry`), { status: 200, body: { state: 'current' } })
  await foreignFile(1, foreign)
  t.match(await server.get(path), { body: { state: 'current' } }, 'nobody has looked')
  const found = await server.post(`${path}/retry`)
  t.match(found, {
    status: 200,
    body: {
      state: 'forked',
      pending: 0,
      lastError: /^Version 1 .*adopted/,
      fork: { version: 1, theirs: { sha256: sha256(foreign), lastVersion: 1 } },
    },
  })
  t.notOk('ours' in found.body.fork, 'nothing was committed here')
  t.match(await server.get(`/mirror?state=forked`), { body: { items: [{ tableId: table }] } })

  await t.test(
    'and met again once something is committed here, so that both are told',
    async (t) => {
      await server.commit(table, { actions: [add('ours')] })
      t.match(await publish(), { kind: 'forked' })
      const { body } = await server.get(path)
      t.match(body.fork, {
        version: 1,
        ours: { sha256: String },
        theirs: { sha256: sha256(foreign) },
      })
      t.match(await publish(), { kind: 'idle' }, 'once')
      t.equal((await readLog(log)).get(commitFileName(1)), foreign)
    },
  )

  await t.test('and forgotten by a retry once it is out of the way', async (t) => {
    t.match(await server.post(`${path}/retry`), { body: { state: 'behind', pending: 1 } })
    t.match(await publish(), { kind: 'forked' }, 'which looks again')
    await rename(join(log, commitFileName(1)), join(log, '..', 'theirs.json'))
    const retried = await server.post(`${path}/retry`)
    t.strictSame(Object.keys(retried.body).sort(), [
      'lagMs',
      'pending',
      'publishedVersion',
      'state',
    ])
    t.match(await publish(), { kind: 'published', versions: 1 })
    t.match(await server.get(path), { body: { state: 'current', publishedVersion: 1 } })
    t.equal(await readFile(join(log, '..', 'theirs.json'), 'utf8'), foreign)
  })
})

t.test('a log that goes on behind a version that is missing is told of by a retry', async (t) => {
  const { server, table, publish, path, foreignFile, log } = await publishedTable(t)
  await foreignFile(2, foreign)
  await foreignFile(3, foreign)
  const found = await server.post(`${path}/retry`)
  t.match(found, {
    status: 200,
    body: {
      state: 'forked',
      lastError: /^Version 2 is in the log.* version 1 is missing/,
      fork: { version: 1, nextVersion: 2 },
    },
  })
  t.strictSame(Object.keys(found.body.fork), ['version', 'nextVersion'])
  t.match(await server.post(`${path}/retry?policy=adopt`), { body: { code: 'not-adoptable' } })

  await t.test('and nothing is published in the gap', async (t) => {
    await server.commit(table, { actions: [add('ours')] })
    t.strictSame(await publish(), { kind: 'idle' })
    t.match(await server.post(`${path}/retry`), {
      body: { state: 'forked', pending: 1, fork: { version: 1, nextVersion: 2 } },
    })
    t.strictSame(await publish(), { kind: 'idle' })
    t.strictSame([...(await readLog(log)).keys()], [0, 2, 3].map(commitFileName))
  })

  await t.test('until what stands behind it is out of the way', async (t) => {
    for (const version of [2, 3]) {
      await rename(join(log, commitFileName(version)), join(log, '..', `theirs-${version}.json`))
    }
    t.match(await server.post(`${path}/retry`), { body: { state: 'behind' } })
    t.match(await publish(), { kind: 'published', versions: 1, more: false })
  })
})

t.test('a file of ours that somebody touched without changing it is no fork', async (t) => {
  const { server, table, publish, path, log, foreignFile } = await publishedTable(t)
  await server.commit(table, { actions: [add('a')] })
  const { text: lines } = await server.get(`/tables/${table}/commits/1`, ndjson)
  await foreignFile(1, lines)
  const { ino } = await stat(join(log, commitFileName(1)))
  t.match(await publish(), { kind: 'published', versions: 1 })
  t.equal((await stat(join(log, commitFileName(1)))).ino, ino)
  t.match(await server.get(path), { body: { state: 'current' } })
})

const ndjson = { accept: 'application/x-ndjson' }

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** A table of which version 0 is published, and a hand in its log. */
async function publishedTable(t: Test) {
  const server = await startTestServer(t, {}, { mirror: false })
  const table = await server.makeTable()
  const log = join(server.dataDir, 'tables', table, '_delta_log')
  const { db, storage } = server
  const publish = async () =>
    (await publishTables(db, { tableIds: [table], storage, sweep: true })).get(table)
  await publish()
  return {
    server,
    table,
    log,
    publish,
    path: `/tables/${table}/mirror`,
    async foreignFile(version: number, text: string) {
      await mkdir(log, { recursive: true })
      await writeFile(join(log, commitFileName(version)), text)
    },
  }
}
