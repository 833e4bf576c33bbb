import t from 'tap'
import { add, plainSchema, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }

/** A table with a history: 1 adds a and b, 2 removes a, 3 adds c with an app transaction, 4 changes the schema. */
async function makeHistory() {
  const id = await server.makeTable()
  const { metadata } = (await server.get(`/tables/${id}`)).body
  const schemaString = JSON.stringify({
    ...plainSchema,
    fields: [...plainSchema.fields, { name: 'more', type: 'string', nullable: true, metadata: {} }],
  })
  const times: number[] = []
  for (const actions of [
    [add('a'), add('b')],
    [remove('a')],
    [add('c'), { txn: { appId: 'app', version: 7 } }],
    [{ metaData: { ...metadata, schemaString } }, { txn: { appId: 'app', version: 8 } }],
  ]) {
    const { status, body } = await server.commit(id, { actions })
    t.equal(status, 201)
    times.push(body.inCommitTimestamp)
  }
  return { id, times, schemaString }
}

const pathsOf = (items: { add: { path: string } }[]) => items.map((item) => item.add.path)

t.test('files and snapshot travel to any version', async (t) => {
  const { id, schemaString } = await makeHistory()
  const expected = [[], ['a', 'b'], ['b'], ['b', 'c'], ['b', 'c']]
  for (const [version, paths] of expected.entries()) {
    const files = await server.get(`/tables/${id}/files?version=${version}`)
    t.equal(files.body.version, version)
    t.strictSame(pathsOf(files.body.items), paths)
    const { body } = await server.get(`/tables/${id}/snapshot?version=${version}`)
    t.equal(body.version, version)
    t.equal(body.statistics.numFiles, paths.length)
    t.equal(body.statistics.sizeInBytes, 100 * paths.length)
    t.strictSame(
      body.appTransactions.map((txn: { version: number }) => txn.version),
      version < 3 ? [] : [version + 4],
    )
    const schema = version === 4 ? schemaString : JSON.stringify(plainSchema)
    t.equal(body.metadata.schemaString, schema)
  }
  const newest = await server.get(`/tables/${id}/snapshot`)
  t.equal(newest.body.version, 4)
})

t.test('a timestamp means the newest version that is not younger', async (t) => {
  const { id, times } = await makeHistory()
  const versionAt = async (ms: number) => {
    const timestamp = new Date(ms).toISOString()
    const { body } = await server.get(`/tables/${id}/files?timestamp=${timestamp}`)
    return body.version ?? body.code
  }
  const [first = 0, second = 0] = times
  t.equal(await versionAt(first), 1)
  t.equal(await versionAt(second - 1), 1)
  t.equal(await versionAt(second), 2)
  t.equal(await versionAt(Date.now() + 100_000), 4)
  t.equal(await versionAt(0), 'version-not-found')
  const offset = new Date(second + 2 * 3_600_000).toISOString().replace('Z', '+02:00')
  const { body } = await server.get(`/tables/${id}/files?timestamp=${encodeURIComponent(offset)}`)
  t.equal(body.version, 2)
})

t.test('pages of files go on at the version of the first page', async (t) => {
  const id = await server.makeTable()
  const paths = Array.from({ length: 25 }, (_, index) => `f${String(index).padStart(2, '0')}`)
  await server.commit(id, { actions: paths.slice(0, 20).map((path) => add(path)) })
  await server.commit(id, { actions: paths.slice(20).map((path) => add(path)) })
  const seen: string[] = []
  let cursor = ''
  for (let page = 0; page < 10; page += 1) {
    const { body } = await server.get(`/tables/${id}/files?limit=4${cursor}`)
    t.equal(body.version, 2)
    seen.push(...pathsOf(body.items))
    await server.commit(id, { actions: [remove(`f${String(24 - page).padStart(2, '0')}`)] })
    if (body.nextCursor === undefined) break
    cursor = `&cursor=${body.nextCursor}`
  }
  t.strictSame(seen, paths)
})

t.test('NDJSON streams every file, over many pages', async (t) => {
  const id = await server.makeTable()
  const paths = Array.from({ length: 2500 }, (_, index) => `f${index}`)
  await server.commit(id, { actions: paths.map((path) => add(path)) })
  const { text } = await server.get(`/tables/${id}/files`, ndjson)
  t.strictSame(
    pathsOf(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
    paths,
  )
})

t.test('a commit that adds a live file anew replaces it, and history keeps both', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a', { stats: undefined })] })
  await server.commit(id, { actions: [add('a', { dataChange: false })] })
  const now = await server.get(`/tables/${id}/files`)
  t.equal(now.body.items.length, 1)
  t.equal(now.body.items[0].add.stats, '{"numRecords":10}')
  const before = await server.get(`/tables/${id}/files?version=1`)
  t.equal(before.body.items[0].add.stats, undefined)
})

t.test('paths are compared decoded', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('day=1%2F2/a%20b')] })
  const removed = await server.commit(id, { actions: [remove('day=1%2f2/a b')] })
  t.equal(removed.body.numRemovedBytes, 100)
  t.equal((await server.get(`/tables/${id}/files`)).body.items.length, 0)
})

t.test('a snapshot tells of so many applications, and says when there are more', async (t) => {
  const id = await server.makeTable()
  const txn = (number: number) => ({ txn: { appId: `app-${number}`, version: 1 } })
  await server.commit(id, { actions: Array.from({ length: 1000 }, (_, number) => txn(number)) })
  const all = (await server.get(`/tables/${id}/snapshot`)).body
  t.equal(all.appTransactions.length, 1000)
  t.equal(all.isCut, undefined)
  await server.commit(id, { actions: [txn(1000)] })
  const cut = (await server.get(`/tables/${id}/snapshot`)).body
  t.equal(cut.appTransactions.length, 1000)
  t.equal(cut.isCut, true)
  const before = (await server.get(`/tables/${id}/snapshot?version=1`)).body
  t.ok(before.metadata && before.protocol)
  const { text } = await server.get(`/tables/${id}/changes?from=0`, ndjson)
  t.equal(text.split('\n').length - 1, 1001)
})
