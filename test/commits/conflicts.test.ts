import t from 'tap'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

const schema = {
  type: 'struct',
  fields: [
    { name: 'id', type: 'long', nullable: true, metadata: {} },
    { name: 'day', type: 'date', nullable: true, metadata: {} },
  ],
}
const inDay = (day: string, path: string, more: object = {}) =>
  add(path, { partitionValues: { day }, ...more })
const onDay = (day: string) => ({
  op: 'equal',
  children: [
    { op: 'column', name: 'day', valueType: 'date' },
    { op: 'literal', value: day, valueType: 'date' },
  ],
})
const idAbove = (id: number) => ({
  op: 'and',
  children: [
    {
      op: 'greaterThan',
      children: [
        { op: 'column', name: 'id' },
        { op: 'literal', value: id, valueType: 'long' },
      ],
    },
    onDay('2026-01-01'),
  ],
})

/** A table at version 1 with file a of the first day and file b of the second. */
async function makeDays(): Promise<string> {
  const id = await server.makeTable({ schema, partitionColumns: ['day'] })
  const actions = [inDay('2026-01-01', 'a'), inDay('2026-01-02', 'b')]
  t.equal((await server.commit(id, { actions })).status, 201)
  return id
}

async function commitFine(table: string, proposal: object): Promise<TestAnswer> {
  const answer = await server.commit(table, proposal)
  t.equal(answer.status, 201, answer.text)
  return answer
}

t.test('what is harmless is rebased, and told over what', async (t) => {
  const id = await makeDays()
  await commitFine(id, { actions: [inDay('2026-01-02', 'c')] })
  await commitFine(id, { operation: 'OPTIMIZE', actions: [remove('b'), inDay('2026-01-02', 'd')] })
  const answer = await commitFine(id, {
    readVersion: 1,
    reads: { predicates: [onDay('2026-01-01')], files: ['a'] },
    actions: [remove('a'), inDay('2026-01-01', 'e')],
  })
  t.match(answer.body, { version: 4, readVersion: 1, rebasedOver: [2, 3], status: 'committed' })
})

t.test('each kind of conflict is refused with its winner', async (t) => {
  const winners: Record<string, { winner: object; loser: object; facts?: object }> = {
    'concurrent-append': {
      winner: { expectedVersion: 2, actions: [inDay('2026-01-01', 'new')] },
      loser: {
        reads: { predicates: [onDay('2026-01-01')] },
        actions: [inDay('2026-01-01', 'mine')],
      },
      facts: { path: 'new' },
    },
    'concurrent-delete-read': {
      winner: { actions: [remove('a')] },
      loser: { reads: { files: ['a'] }, actions: [inDay('2026-01-02', 'mine')] },
      facts: { path: 'a' },
    },
    'concurrent-delete-delete': {
      winner: { actions: [remove('a')] },
      loser: { actions: [remove('a')] },
      facts: { path: 'a' },
    },
    'concurrent-transaction': {
      winner: { actions: [{ txn: { appId: 'app', version: 1 } }] },
      loser: { reads: { appIds: ['app'] }, actions: [inDay('2026-01-01', 'mine')] },
      facts: { appId: 'app' },
    },
  }
  for (const [code, { winner, loser, facts }] of Object.entries(winners)) {
    const id = await makeDays()
    await commitFine(id, { operation: 'MERGE', ...winner })
    const refused = await server.commit(id, { readVersion: 1, ...loser })
    t.equal(refused.status, 409)
    t.match(refused.body, {
      code,
      currentVersion: 2,
      winner: { version: 2, operation: 'MERGE', inCommitTimestamp: Number },
      ...facts,
    })
    t.equal((await server.get(`/tables/${id}`)).body.version, 2)
  }
})

t.test('a change of metadata is in conflict with whoever read before it', async (t) => {
  const id = await makeDays()
  const { metadata } = (await server.get(`/tables/${id}`)).body
  await commitFine(id, { actions: [{ metaData: { ...metadata, description: 'new' } }] })
  await commitFine(id, { actions: [inDay('2026-01-01', 'c')] })
  const refused = await server.commit(id, { readVersion: 1, actions: [inDay('2026-01-01', 'd')] })
  t.match(refused, { status: 409, body: { code: 'metadata-changed', winner: { version: 2 } } })
  await commitFine(id, { readVersion: 2, actions: [inDay('2026-01-01', 'd')] })
})

t.test(
  'a predicate that a change of metadata has made invalid is out of date, not wrong',
  async (t) => {
    const column = (name: string, id: number) => ({
      name,
      type: 'string',
      nullable: true,
      metadata: { 'delta.columnMapping.id': id, 'delta.columnMapping.physicalName': `col-${id}` },
    })
    const schemaOf = (...fields: object[]) => ({ type: 'struct', fields })
    const id = await server.makeTable({
      schema: schemaOf(column('kept', 1), column('gone', 2)),
      configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2' },
    })
    const predicate = (name: string) => ({
      op: 'equal',
      children: [
        { op: 'column', name, valueType: 'string' },
        { op: 'literal', value: 'a', valueType: 'string' },
      ],
    })
    const propose = (name: string, readVersion: number) =>
      server.commit(id, {
        readVersion,
        reads: { predicates: [predicate(name)] },
        actions: [add('a')],
      })
    const begun = await server.post('/transactions', { isolationLevel: 'Serializable' })
    const way = `/transactions/${begun.body.id}`
    const text = encodeURIComponent(JSON.stringify(predicate('gone')))
    t.equal((await server.get(`${way}/tables/${id}/files?predicate=${text}`)).status, 200)
    await server.post(`${way}/tables/${id}/actions`, [add('own')])

    const { metadata } = (await server.get(`/tables/${id}`)).body
    const schemaString = JSON.stringify(schemaOf(column('kept', 1)))
    await commitFine(id, { actions: [{ metaData: { ...metadata, schemaString } }] })
    const changed = { code: 'metadata-changed', winner: { version: 1 }, currentVersion: 1 }
    t.match(await propose('gone', 0), { status: 409, body: changed })
    t.match(await server.post(`${way}/commit`), { status: 409, body: { ...changed, table: id } })
    t.match(await propose('gone', 1), { status: 400, body: { code: 'invalid-request' } })
    t.match(await propose('never', 0), { status: 400, body: { code: 'invalid-request' } })
  },
)

t.test('blind appends pass at WriteSerializable, and not at Serializable', async (t) => {
  const propose = async (isolationLevel: string | undefined) => {
    const id = await makeDays()
    await commitFine(id, { actions: [inDay('2026-01-01', 'blind')] })
    return server.commit(id, {
      readVersion: 1,
      isolationLevel,
      reads: { wholeTable: true },
      actions: [inDay('2026-01-02', 'mine')],
    })
  }
  t.match(await propose(undefined), { status: 201, body: { rebasedOver: [2] } })
  t.match(await propose('WriteSerializable'), { status: 201 })
  t.match(await propose('SnapshotIsolation'), { status: 201 })
  t.match(await propose('Serializable'), { status: 409, body: { code: 'concurrent-append' } })
})

t.test('a predicate excludes files by their statistics', async (t) => {
  const propose = async (max: number) => {
    const id = await makeDays()
    const stats = JSON.stringify({
      numRecords: 2,
      minValues: { id: 1 },
      maxValues: { id: max },
      nullCount: { id: 0 },
    })
    await commitFine(id, { expectedVersion: 2, actions: [inDay('2026-01-01', 'new', { stats })] })
    const reads = { predicates: [idAbove(100)] }
    return server.commit(id, { readVersion: 1, reads, actions: [inDay('2026-01-01', 'mine')] })
  }
  t.match(await propose(100), { status: 201 })
  t.match(await propose(101), { status: 409, body: { code: 'concurrent-append' } })
})

t.test('a pair of app and version is committed once', async (t) => {
  const id = await makeDays()
  const propose = (version: number) =>
    server.commit(id, {
      idempotency: { appId: 'run-7', version },
      actions: [inDay('2026-01-01', `batch-${version}`)],
    })
  const first = await propose(12)
  t.match(first, { status: 201, body: { version: 2, status: 'committed' } })
  await propose(13)
  const again = await propose(12)
  t.match(again, { status: 200, body: { version: 2, status: 'duplicate', numAddedFiles: 1 } })
  t.equal(again.body.inCommitTimestamp, first.body.inCommitTimestamp)
  t.match(await propose(11), { status: 200, body: { version: 2, status: 'duplicate' } })
  const { body } = await server.get(`/tables/${id}/snapshot`)
  t.match(body.appTransactions, [{ appId: 'run-7', version: 13, lastUpdated: Number }])
})

t.test('of a hundred twins of one app version one is committed', async (t) => {
  const id = await makeDays()
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, twin) =>
      server.commit(id, {
        idempotency: { appId: 'app', version: 1 },
        actions: [inDay('2026-01-01', `twin-${twin}`)],
      }),
    ),
  )
  t.equal(answers.filter(({ status }) => status === 201).length, 1)
  t.ok(answers.every(({ body }) => body.version === 2))
})

t.test('writers that rewrite files of their own are never refused', async (t) => {
  const id = await server.makeTable()
  const writers = Array.from({ length: 64 }, (_, writer) => `w${writer}`)
  await commitFine(id, { actions: writers.map((writer) => add(`${writer}-0`)) })
  await Promise.all(
    writers.map(async (writer) => {
      let readVersion = 1
      for (let round = 0; round < 5; round += 1) {
        const file = `${writer}-${round}`
        const answer = await server.commit(id, {
          readVersion,
          reads: { files: [file] },
          actions: [remove(file), add(`${writer}-${round + 1}`)],
        })
        t.equal(answer.status, 201, answer.text)
        readVersion = answer.body.version
      }
    }),
  )
  const { body } = await server.get(`/tables/${id}`)
  t.equal(body.version, 1 + 64 * 5)
  t.equal(body.statistics.numFiles, 64)
})

t.test(
  'of writers that rewrite one file one wins each time, and the others are told',
  async (t) => {
    const id = await server.makeTable()
    await commitFine(id, { actions: [add('f-0')] })
    for (let round = 0; round < 3; round += 1) {
      const readVersion = 1 + round
      const answers = await Promise.all(
        Array.from({ length: 30 }, () =>
          server.commit(id, {
            readVersion,
            reads: { files: [`f-${round}`] },
            actions: [remove(`f-${round}`), add(`f-${round + 1}`)],
          }),
        ),
      )
      t.equal(answers.filter(({ status }) => status === 201).length, 1)
      for (const { status, body } of answers) {
        if (status !== 201)
          t.match(body, { code: 'concurrent-delete-read', winner: { version: readVersion + 1 } })
      }
    }
  },
)

t.test('what cannot have been read is refused', async (t) => {
  const id = await makeDays()
  const future = await server.commit(id, { readVersion: 9, actions: [] })
  t.match(future, { status: 404, body: { code: 'version-not-found', currentVersion: 1 } })
  const unfounded = await server.commit(id, { reads: { wholeTable: true }, actions: [] })
  t.match(unfounded, { status: 400, body: { errors: [{ pointer: '/reads' }] } })
  const predicates = [onDay('2026-01-01'), onDay('no day')]
  const unread = await server.commit(id, {
    readVersion: 1,
    reads: { predicates, files: ['../x'] },
    actions: [],
  })
  t.equal(unread.status, 400)
  t.match(unread.body.errors, [
    { pointer: /^\/reads\/predicates\/1/ },
    { pointer: '/reads/files/0' },
  ])
})
