import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }

async function logFile(table: string, version: number): Promise<string> {
  await server.published(table)
  const { location } = (await server.get(`/tables/${table}`)).body
  return readFile(join(location, '_delta_log', `${String(version).padStart(20, '0')}.json`), 'utf8')
}

t.test('a commit is answered with its version and counts', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a'), add('b')] })
  const answer = await server.commit(id, {
    expectedVersion: 2,
    operation: 'DELETE',
    actions: [remove('a'), add('c', { size: 5 })],
  })
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('location'), `/tables/${id}/commits/2`)
  t.match(answer.body, { tableId: id, version: 2, inCommitTimestamp: Number })
  t.strictSame(
    { ...answer.body, inCommitTimestamp: 0 },
    {
      tableId: id,
      version: 2,
      inCommitTimestamp: 0,
      status: 'committed',
      rebasedOver: [],
      numAddedFiles: 1,
      numRemovedFiles: 1,
      numAddedBytes: 5,
      numRemovedBytes: 100,
    },
  )
})

t.test(
  'tokens survive to the log and back: longs, fractions, escapes, unknown fields and kinds',
  async (t) => {
    const id = await server.makeTable()
    const lines = [
      '{"add":{"path":"a%20b","partitionValues":{},"size":9223372036854775807,"modificationTime":1,"dataChange":true,"tags":{"é":"\\u00e9"},"unknown":{"b":1.0,"a":12345678901234567890,"1":[1e5,-0]}}}',
      '{"somethingNew":{"x":1.50}}',
      '{"txn":{"appId":"app","version":9007199254740993}}',
    ]
    const spaced = lines.map((line) => line.replace(/^\{/, '{ \n\t').replace(/\}$/, ' }'))
    const answer = await server.call('POST', `/tables/${id}/commits`, {
      raw: `{"operation":"WRITE","operationParameters":{"n":9007199254740993, "f":1.0},"actions":[${spaced.join(' ,')}]}`,
      headers: { 'content-type': 'application/json' },
    })
    t.equal(answer.status, 201)
    const published = (await logFile(id, 1)).trim().split('\n')
    t.match(published[0], /"operationParameters":\{"n":9007199254740993,"f":1\.0\}/)
    t.strictSame(published.slice(1), lines)
    t.equal((await server.get(`/tables/${id}/commits/1`, ndjson)).text, `${published.join('\n')}\n`)
    t.match((await server.get(`/tables/${id}/files`)).text, `{"version":1,"items":[${lines[0]}]}`)
    const { text } = await server.get(`/tables/${id}/snapshot`)
    t.match(text, '"appTransactions":[{"appId":"app","version":9007199254740993}]')
    t.match(text, '"sizeInBytes":9223372036854775807')
  },
)

t.test('a commitInfo among the actions is merged, and the service has the last word', async (t) => {
  const id = await server.makeTable()
  const answer = await server.commit(id, {
    engineInfo: 'from the proposal',
    actions: [
      add('a'),
      {
        commitInfo: {
          operation: 'MERGE',
          engineInfo: 'from the action',
          inCommitTimestamp: 1,
          custom: { deep: true },
        },
      },
    ],
  })
  t.equal(answer.status, 201)
  const [first = '', ...rest] = (await logFile(id, 1)).trim().split('\n')
  t.equal(rest.length, 1)
  const { commitInfo } = JSON.parse(first)
  t.match(commitInfo, {
    operation: 'MERGE',
    engineInfo: 'from the proposal',
    custom: { deep: true },
    inCommitTimestamp: answer.body.inCommitTimestamp,
    isBlindAppend: true,
  })
  t.equal(Object.keys(commitInfo)[0], 'inCommitTimestamp')
})

t.test('NDJSON in is the same as JSON in', async (t) => {
  const id = await server.makeTable()
  const lines = [add('a'), add('b')].map((action) => JSON.stringify(action))
  const send = (query: string, raw: string) =>
    server.call('POST', `/tables/${id}/commits${query}`, {
      raw,
      headers: { 'content-type': 'application/x-ndjson' },
    })
  const first = await send('?expectedVersion=1&operation=APPEND', `${lines.join('\n')}\n`)
  t.match(first, { status: 201, body: { version: 1, numAddedFiles: 2 } })
  const proposal = { expectedVersion: 2, operation: 'DELETE', operationParameters: { why: 1.0 } }
  const second = await send(
    '',
    `${JSON.stringify({ proposal })}\r\n\r\n${JSON.stringify(remove('a'))}`,
  )
  t.match(second, { status: 201, body: { version: 2, numRemovedFiles: 1 } })
  const { body } = await server.get(`/tables/${id}/commits`)
  t.strictSame(
    body.items.map((commit: { operation: string }) => commit.operation),
    ['DELETE', 'APPEND', 'CREATE TABLE'],
  )
  const bad = await send('', `${lines[0]}\n{"add":{"path":1}}\n`)
  t.match(bad, { status: 400, body: { code: 'invalid-request' } })
  t.ok(bad.body.errors.every((error: { line: number }) => error.line === 2))
  const broken = await send('', `${lines[0]}\n\n{"add":\n`)
  t.match(broken, { status: 400, body: { code: 'invalid-json', line: 3 } })
})

t.test('history is newest first, by range and in pages', async (t) => {
  const id = await server.makeTable()
  for (let version = 1; version <= 6; version += 1) {
    await server.commit(id, { actions: [add(`f${version}`)], userMetadata: `v${version}` })
  }
  const versions = async (query: string) => {
    const { body } = await server.get(`/tables/${id}/commits${query}`)
    return [body.items.map((commit: { version: number }) => commit.version), body.nextCursor]
  }
  t.strictSame(await versions(''), [[6, 5, 4, 3, 2, 1, 0], undefined])
  t.strictSame(await versions('?from=2&to=4'), [[4, 3, 2], undefined])
  const [page, cursor] = await versions('?from=1&to=5&limit=3')
  t.strictSame(page, [5, 4, 3])
  t.strictSame(await versions(`?from=1&to=5&limit=3&cursor=${cursor}`), [[2, 1], undefined])
  const { text } = await server.get(`/tables/${id}/commits?from=5`, ndjson)
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.strictSame(
    lines.map((line) => line.commitInfo.userMetadata),
    ['v6', 'v5'],
  )
})

t.test('a commit with many actions comes in pages', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: Array.from({ length: 12 }, (_, index) => add(`f${index}`)) })
  const first = await server.get(`/tables/${id}/commits/1?limit=8`)
  t.equal(first.body.actions.length, 8)
  t.ok('commitInfo' in first.body.actions[0])
  const next = await server.get(`/tables/${id}/commits/1?limit=8&cursor=${first.body.nextCursor}`)
  t.equal(next.body.actions.length, 5)
  t.notOk('nextCursor' in next.body)
})

t.test('every violation of a commit is listed, and nothing is written', async (t) => {
  const id = await server.makeTable()
  const { status, body } = await server.commit(id, {
    actions: [add('', { size: -1 }), add('a'), add('a'), { sidecar: { path: 'x' } }],
  })
  t.equal(status, 422)
  t.equal(body.code, 'invalid-actions')
  const found = body.violations.map(({ index, message }: { index: number; message: string }) => [
    index,
    message,
  ])
  t.ok(
    found.some(
      ([index, message]: [number, string]) => index === 0 && message === 'add path cannot be empty',
    ),
  )
  t.ok(
    found.some(
      ([index, message]: [number, string]) =>
        index === 0 && message === 'file size must be non-negative',
    ),
  )
  t.ok(found.some(([index]: [number, string]) => index === 2))
  t.ok(found.some(([index]: [number, string]) => index === 3))
  t.equal((await server.get(`/tables/${id}`)).body.version, 0)
})

t.test('of very many violations the first thousand are listed, and all are counted', async (t) => {
  const id = await server.makeTable()
  const actions = Array.from({ length: 1500 }, () => add(''))
  const { status, body } = await server.commit(id, { actions })
  t.equal(status, 422)
  t.equal(body.violations.length, 1000)
  t.equal(body.numViolations, 1500)
})

t.test('an empty commit is a version as well', async (t) => {
  const id = await server.makeTable()
  t.match(await server.commit(id, { actions: [] }), { status: 201, body: { version: 1 } })
})
