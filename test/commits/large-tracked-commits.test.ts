import { sql } from 'kysely'
import t from 'tap'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const server = await startTestServer(t)
const staging = await startTestServer(t, { heldActionsMax: 10 }, { beside: server })
const ndjson = { 'content-type': 'application/x-ndjson' }
const tracking = {
  configuration: {
    'delta.enableRowTracking': 'true',
    'delta.enableDeletionVectors': 'true',
    'delta.rowTracking.materializedRowIdColumnName': '_r',
    'delta.rowTracking.materializedRowCommitVersionColumnName': '_v',
  },
}
const records = (numRecords: number) => ({ stats: JSON.stringify({ numRecords }) })
const lines = (actions: readonly object[]) =>
  actions.map((action) => JSON.stringify(action)).join('\n')
const send = (to: TestServer, table: string, actions: readonly object[]) =>
  to.call('POST', `/tables/${table}/commits`, { raw: lines(actions), headers: ndjson })

async function parsed(table: string, version: number): Promise<TestAnswer['body'][]> {
  const answer = await server.get(`/tables/${table}/commits/${version}`, {
    accept: 'application/x-ndjson',
  })
  return answer.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** What an action says of the rows of its file. */
function idsOf(action: TestAnswer['body']) {
  const { path, baseRowId, defaultRowCommitVersion } = action.add ?? action.remove
  return { path, baseRowId, defaultRowCommitVersion }
}

const mark = (highest: number) => ({
  domainMetadata: { configuration: `{"rowIdHighWaterMark":${highest}}` },
})

t.test('files of a large commit get row ids one behind the other, and keep them', async (t) => {
  const id = await server.makeTable(tracking)
  await server.commit(id, { actions: [add('first', records(7))] })
  const paths = Array.from({ length: 12_000 }, (_, index) => `f${index}`)
  const counts = paths.map((_, index) => (index * 7) % 13)
  const adds = paths.map((path, index) => add(path, records(counts[index] ?? 0)))
  t.match(await send(server, id, adds), { status: 201, body: { version: 2 } })
  const [, ...added] = await parsed(id, 2)
  let next = 7
  const known = new Map(
    paths.map((path, index) => {
      const baseRowId = next
      next += counts[index] ?? 0
      return [path, { path, baseRowId, defaultRowCommitVersion: 2 }]
    }),
  )
  t.strictSame(added.slice(0, -1).map(idsOf), [...known.values()])
  t.match(added.at(-1), mark(next - 1))

  // Every third is removed, every third is told anew, and as many are new.
  const rewrite = adds.flatMap((action, index) => {
    const path = paths[index] ?? ''
    if (index % 3 === 0) return [remove(path), add(`g${index}`, records(2))]
    return index % 3 === 1 ? [{ add: { ...action.add, tags: { again: 'yes' } } }] : []
  })
  t.match(await send(server, id, rewrite), { status: 201, body: { version: 3 } })
  const [, ...rewritten] = await parsed(id, 3)
  const expected = rewrite.map((action) => {
    const { path } = idsOf(action)
    const baseRowId = next
    if (!known.has(path)) next += 2
    return known.get(path) ?? { path, baseRowId, defaultRowCommitVersion: 3 }
  })
  t.strictSame(rewritten.slice(0, -1).map(idsOf), expected)
  t.match(rewritten.at(-1), mark(next - 1))
})

t.test('row ids that are told are judged over the whole commit', async (t) => {
  const answers: TestAnswer[] = []
  for (const to of [server, staging]) {
    const id = await server.makeTable(tracking)
    await server.commit(id, { actions: [add('old', records(10_000)), add('live', records(5))] })
    await server.commit(id, { actions: [remove('old')] })
    const told = (path: string, baseRowId: number) =>
      add(path, { ...records(10), baseRowId, defaultRowCommitVersion: 1 })
    const apart = Array.from({ length: 900 }, (_, at) => told(`a${at}`, at * 10))
    const legal = await send(to, id, apart)
    t.match(legal, { status: 201, body: { version: 3 } }, legal.text.slice(0, 300))
    const shared = Array.from({ length: 3000 }, (_, at) => told(`b${at}`, ((at * 7) % 3000) * 5))
    const odd = [remove('live', { baseRowId: 1 }), add('c', { ...records(1), baseRowId: 20_000 })]
    const refused = await send(to, id, [...shared, ...odd])
    t.match(refused, { status: 422, body: { code: 'invalid-actions' } })
    t.ok(refused.body.numViolations > 1000)
    refused.body.tableId = refused.body.instance = ''
    answers.push(refused.body)
    const { text } = await send(to, id, odd)
    t.match(text, /actions\[0\].*baseRowId is 1, but the file has 10000.*And 1 more/)
  }
  t.strictSame(answers[0], answers[1])
})

/** Sends a commit; `meanwhile` happens when the first half of it is staged. */
async function sendInHalves(
  table: string,
  actions: readonly object[],
  meanwhile: () => Promise<unknown>,
): Promise<Pick<TestAnswer, 'status' | 'body'>> {
  const half = Math.ceil(actions.length / 2)
  async function* body() {
    yield Buffer.from(`${lines(actions.slice(0, half))}\n`)
    while ((await stages()) === 0);
    await meanwhile()
    yield Buffer.from(lines(actions.slice(half)))
  }
  const response = await fetch(`${staging.address}/tables/${table}/commits`, {
    method: 'POST',
    headers: ndjson,
    body: ReadableStream.from(body()),
    duplex: 'half',
  } as RequestInit)
  const answer = { status: response.status, body: await response.json() }
  while ((await stages()) > 0);
  return answer
}

async function stages(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_tables where tablename like 'stage\\_%'`.execute(
    server.db,
  )
  return rows[0]?.count ?? -1
}

const some = (prefix: string, more: object = {}) =>
  Array.from({ length: 30 }, (_, index) => add(`${prefix}${index}`, { ...records(2), ...more }))

t.test('what is committed while a large commit comes in counts for its row ids', async (t) => {
  const id = await server.makeTable(tracking)
  const restored = { baseRowId: 5, defaultRowCommitVersion: 1 }
  const adds = [
    add('back', { ...records(4), ...restored }),
    ...some('a'),
    add('early', { ...records(1), defaultRowCommitVersion: 3 }),
  ]
  const meanwhile = async () => {
    await server.commit(id, { actions: [add('x', records(50)), add('a3', records(2))] })
    await server.commit(id, { actions: [remove('x')] })
  }
  t.match(await sendInHalves(id, adds, meanwhile), { status: 201, body: { version: 3 } })
  const [, back, ...more] = await parsed(id, 3)
  t.match(back, { add: { path: 'back', ...restored } })
  const ids = more.flatMap(({ add: file }) => (file ? [file.baseRowId] : []))
  const behind = Array.from({ length: 30 }, (_, at) => 52 + at * 2)
  t.strictSame(ids, [52, 54, 56, 50, ...behind.slice(3)])
  t.match(more.at(-1), mark(52 + 58))

  const late = [
    ...some('b', { defaultRowCommitVersion: 4 }),
    add('beyond', { ...records(1), baseRowId: 200 }),
  ]
  const answer = await sendInHalves(id, late, () => server.commit(id, { actions: [add('y')] }))
  t.match(answer, { status: 422, body: { numViolations: 31 } })
  t.match(answer.body.violations[0].message, /is 4, but the commit makes version 5/)
  t.match(answer.body.violations[30].message, /lie beyond 120, the highest/)
})

t.test('whether rows are tracked is told by the table that is locked', async (t) => {
  const id = await server.makeTable()
  const { protocol } = (await server.get(`/tables/${id}`)).body
  const writerFeatures = [...protocol.writerFeatures, 'rowTracking', 'domainMetadata']
  const begin = () =>
    server.commit(id, { actions: [{ protocol: { ...protocol, writerFeatures } }] })
  t.match(await sendInHalves(id, some('a'), begin), { status: 201, body: { version: 2 } })
  const tracked = await parsed(id, 2)
  t.match(tracked[30], { add: { baseRowId: 58, defaultRowCommitVersion: 2 } })
  t.match(tracked[31], mark(59))
  const { metadata } = (await server.get(`/tables/${id}`)).body
  const configuration = { ...metadata.configuration, 'delta.rowTrackingSuspended': 'true' }
  const suspend = () =>
    server.commit(id, { actions: [{ metaData: { ...metadata, configuration } }] })
  t.match(await sendInHalves(id, some('b'), suspend), { status: 201, body: { version: 4 } })
  const plain = await parsed(id, 4)
  t.equal(plain.length, 31)
  t.notMatch(plain[30], { add: { baseRowId: Number } })
})
