import t, { type Test } from 'tap'
import { column as field } from '../delta/support.ts'
import { add, plainSchema, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }
const linesOf = (text: string) => text.split('\n').slice(0, -1)

interface Line {
  add?: { path: string; deletionVector?: object }
  remove?: { path: string; deletionVector?: object }
}

const keyOf = ({ add, remove }: Line) => {
  const { path, deletionVector = null } = add ?? remove ?? { path: '' }
  return JSON.stringify([path, deletionVector])
}

async function filesAt(id: string, version: number): Promise<Map<string, string>> {
  const { text } = await server.get(`/tables/${id}/files?version=${version}`, ndjson)
  return new Map(linesOf(text).map((line) => [keyOf(JSON.parse(line)), line]))
}

const vector = (offset: number) => ({
  storageType: 'u',
  pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
  offset,
  sizeInBytes: 36,
  cardinality: 2,
})

/** A table with a history in which files come, go, come back as they were or otherwise, and get deletion vectors. */
async function makeHistory(): Promise<string> {
  const id = await server.makeTable({ configuration: { 'delta.enableDeletionVectors': 'true' } })
  const deleted = { deletionVector: vector(1) }
  for (const actions of [
    [add('a'), add('b'), add('c'), add('d'), add('e'), add('f')],
    [remove('a'), add('short')],
    [remove('short'), remove('b'), add('b', deleted), add('c', { tags: { t: '1' } })],
    [add('a'), remove('d'), add('e', { size: 7 })],
    [remove('b', deleted), add('b', { deletionVector: vector(2) }), remove('e')],
    [remove('f'), add('g')],
    [add('f'), add('h', { dataChange: false })],
  ]) {
    const { status, text } = await server.commit(id, { actions })
    t.equal(status, 201, text)
  }
  return id
}

/** The files that lines of changes make of others; each line must change something. */
function apply(t: Test, files: ReadonlyMap<string, string>, lines: readonly string[]) {
  const made = new Map(files)
  for (const line of lines) {
    const action: Line = JSON.parse(line)
    const key = keyOf(action)
    t.ok(action.remove ? made.delete(key) : made.get(key) !== line, line)
    if (action.add) made.set(key, line)
  }
  return made
}

/** All pages of a list, with what each page tells besides. */
async function readPages(address: string) {
  const items: object[] = []
  const told: object[] = []
  let cursor = ''
  do {
    const { items: some, nextCursor, ...rest } = (await server.get(`${address}${cursor}`)).body
    items.push(...some)
    told.push(rest)
    cursor = nextCursor === undefined ? '' : `&cursor=${nextCursor}`
  } while (cursor !== '')
  return { items, told }
}

const sizeOf = (line = '{"add":{}}') => JSON.parse(line).add.size
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

async function checkSpan(t: Test, id: string, [from, to]: [number, number]) {
  const [before, after] = [await filesAt(id, from), await filesAt(id, to)]
  const address = `/tables/${id}/changes?from=${from}&to=${to}`
  const { text, headers } = await server.get(address, ndjson)
  const lines = linesOf(text)
  t.strictSame(new Map([...apply(t, before, lines)].sort()), new Map([...after].sort()))
  const added = [...after].filter(([key, line]) => before.get(key) !== line)
  const removed = [...before.keys()].filter((key) => !after.has(key))
  t.equal(lines.length, added.length + removed.length)
  const summary = {
    from,
    to,
    numAddedFiles: added.length,
    numRemovedFiles: removed.length,
    numAddedBytes: sum(added.map(([, line]) => sizeOf(line))),
    numRemovedBytes: sum(removed.map((key) => sizeOf(before.get(key)))),
  }
  t.strictSame(JSON.parse(headers.get('changes-summary') ?? ''), summary)
  const { items, told } = await readPages(`${address}&limit=2`)
  t.strictSame(
    items,
    lines.map((line) => JSON.parse(line)),
  )
  for (const page of told) t.strictSame(page, summary)
}

t.test('the changes of any two versions make the files of one of the other', async (t) => {
  const id = await makeHistory()
  for (let from = 0; from <= 7; from += 1) {
    for (let to = from; to <= 7; to += 1) {
      await t.test(`from ${from} to ${to}`, (t) => checkSpan(t, id, [from, to]))
    }
  }
})

t.test('a file that was added anew and then removed gets a remove made of its add', async (t) => {
  const id = await makeHistory()
  const { body } = await server.get(`/tables/${id}/changes?from=3&to=5`)
  const removed = body.items.find((item: Line) => item.remove?.path === 'e')
  t.match(removed.remove, {
    dataChange: true,
    extendedFileMetadata: true,
    deletionTimestamp: Number,
    size: 100,
    stats: '{"numRecords":10}',
  })
})

t.test('changes of the definition, of applications and of domains are told once', async (t) => {
  const id = await server.makeTable({
    configuration: { kept: 'k', mine: 'a', plain: 'x' },
    protocol: { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['domainMetadata'] },
  })
  const { metadata } = (await server.get(`/tables/${id}`)).body
  const schema = { ...plainSchema, fields: [...plainSchema.fields, field('more', 'string')] }
  const { plain: _, ...configuration } = metadata.configuration
  const metaData = {
    ...metadata,
    schemaString: JSON.stringify(schema),
    configuration: { ...configuration, mine: 'b' },
  }
  const domain = (configuration: string) => ({
    domainMetadata: { domain: 'd', configuration, removed: false },
  })
  for (const actions of [
    [{ txn: { appId: 'app', version: 1 } }, { txn: { appId: 'other', version: 9 } }, domain('{}')],
    [{ txn: { appId: 'app', version: 2 } }, { metaData }],
    [{ txn: { appId: 'app', version: 3 } }, domain('{"a":1}')],
  ]) {
    const { status, text } = await server.commit(id, { actions })
    t.equal(status, 201, text)
  }
  const { body } = await server.get(`/tables/${id}/changes?from=1`)
  t.match(body, {
    from: 1,
    to: 3,
    schema: { from: plainSchema, to: schema },
    properties: { set: { mine: 'b' }, removed: ['plain'] },
    partitionColumns: undefined,
    numAddedFiles: 0,
  })
  t.strictSame(body.items, [{ metaData }, { txn: { appId: 'app', version: 3 } }, domain('{"a":1}')])
  const none = await server.get(`/tables/${id}/changes?from=3&to=3`)
  t.strictSame(none.body, {
    from: 3,
    to: 3,
    numAddedFiles: 0,
    numRemovedFiles: 0,
    numAddedBytes: 0,
    numRemovedBytes: 0,
    items: [],
  })
})

t.test('a span must be one', async (t) => {
  const id = await makeHistory()
  const above = await server.get(`/tables/${id}/changes?from=3&to=2`)
  t.match(above, { status: 400, body: { errors: [{ pointer: '/query/from' }] } })
  const missing = await server.get(`/tables/${id}/changes`)
  t.match(missing, { status: 400, body: { code: 'invalid-request' } })
  const unknown = await server.get(`/tables/${id}/changes?from=1&to=99`)
  t.match(unknown, { status: 404, body: { code: 'version-not-found', currentVersion: 7 } })
})

t.test('later pages go on to the version of the first', async (t) => {
  const id = await server.makeTable()
  await server.commit(id, { actions: [add('a'), add('b'), add('c')] })
  const first = await server.get(`/tables/${id}/changes?from=0&limit=2`)
  await server.commit(id, { actions: [remove('c'), add('d')] })
  const { body } = await server.get(
    `/tables/${id}/changes?from=0&limit=2&cursor=${first.body.nextCursor}`,
  )
  t.match(body, { to: 1, numAddedFiles: 3 })
  t.equal(body.items.length, 1)
  t.equal(body.items[0].add.path, 'c')
})
