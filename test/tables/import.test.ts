import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import {
  beginning,
  foreignMetadata,
  legacyProtocol,
  linesOf,
  writeForeignLog,
} from '../delta-log/foreign-log.ts'
import { add, remove } from '../support/api.ts'
import { isOfCommits } from '../support/log-names.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { accept: 'application/x-ndjson' }
let tables = 0

/** A folder of its own below the allowed root. */
function newLocation(): string {
  tables += 1
  return join(server.dataDir, 'tables', `foreign_${tables}`)
}

type Versions = Parameters<typeof writeForeignLog>[1]

async function importLog(versions: Versions, headers = {}) {
  const location = newLocation()
  await writeForeignLog(location, versions)
  const name = `imported_${tables}`
  return {
    name,
    location,
    answer: await server.post('/tables/import', { name, location }, headers),
  }
}

async function linesAt(table: string, path: string): Promise<string[]> {
  const { text } = await server.get(`/tables/${table}/${path}`, ndjson)
  return text.split('\n').filter((line) => line !== '')
}

t.test('a table is taken over with all its history, line for line', async (t) => {
  const versions = [
    beginning,
    [add('a'), add('b'), { commitInfo: { operation: 'WRITE', operationParameters: { x: [1] } } }],
    [
      '{ "remove" : {"path":"a","dataChange":true} }',
      add('c%20d'),
      { txn: { appId: 'x', version: 3 } },
    ],
    [
      { commitInfo: {} },
      { later: { y: 1 } },
      '{"add":{"path":"e","partitionValues":{},"size":9007199254740993,"modificationTime":1,"dataChange":true},"beside":{"z":2}}',
    ],
  ]
  const { name, answer } = await importLog(versions)
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('location'), `/tables/${answer.body.id}`)
  t.match(answer.body, {
    version: 3,
    historyFrom: 0,
    statistics: { numFiles: 3, numRecords: null },
    mirror: { state: 'current', publishedVersion: 3 },
    imported: {
      historyFrom: 0,
      commitsFrom: 0,
      commits: 4,
      actions: 12,
      appTransactions: 1,
      domains: 0,
    },
  })
  t.match(answer.text, '"sizeInBytes":9007199254741193')
  for (const [version, lines] of versions.entries()) {
    t.strictSame(await linesAt(name, `commits/${version}`), linesOf(lines), `version ${version}`)
  }
  const files = async (version: number) =>
    (await linesAt(name, `files?version=${version}`)).map((line) => JSON.parse(line).add.path)
  t.strictSame(await files(0), [])
  t.strictSame(await files(1), ['a', 'b'])
  t.strictSame(await files(2), ['b', 'c%20d'])
  t.strictSame(await files(3), ['b', 'c%20d', 'e'])
  const history = await server.get(`/tables/${name}/commits`)
  t.match(history.body.items, [
    { version: 3, operation: 'UNKNOWN', inCommitTimestamp: 1_600_000_003_000, numAddedFiles: 1 },
    {
      version: 2,
      operation: 'UNKNOWN',
      numRemovedFiles: 1,
      numRemovedBytes: 100,
      numAddedFiles: 1,
    },
    { version: 1, operation: 'WRITE', committedAt: '2020-09-13T12:26:41.000Z' },
    { version: 0, operation: 'CREATE TABLE' },
  ])
  t.notOk('commitInfo' in history.body.items[1])
  const paged = await server.get(`/tables/${name}/commits/3?limit=1`)
  const next = await server.get(`/tables/${name}/commits/3?limit=2&cursor=${paged.body.nextCursor}`)
  t.match(next.body.actions, [{ later: {} }, { beside: {} }])
  t.match(await server.get(`/tables/${name}/snapshot?timestamp=2020-09-13T12:26:42Z`), {
    body: { version: 2, appTransactions: [{ appId: 'x', version: 3 }] },
  })
  t.match(await server.get(`/tables/${name}/changes?from=1&to=3`), {
    body: { numAddedFiles: 2, numRemovedFiles: 1 },
  })
})

t.test(
  'the table lives on in its folder, from its next version with in-commit timestamps',
  async (t) => {
    const { name, location } = await importLog([beginning, [add('a')]])
    const first = await server.commit(name, { readVersion: 1, actions: [add('b')] })
    t.match(first, { status: 201, body: { version: 2 } })
    const late = await server.commit(name, {
      readVersion: 1,
      isolationLevel: 'Serializable',
      reads: { wholeTable: true },
      actions: [remove('a')],
    })
    t.match(late, { status: 409, body: { code: 'concurrent-append' } }, 'judged by files alone')
    t.match(await server.commit(name, { readVersion: 1, actions: [remove('a')] }), {
      status: 201,
      body: { version: 3, rebasedOver: [2] },
    })
    await server.published(name)
    const names = (await readdir(join(location, '_delta_log'))).filter(isOfCommits).sort()
    t.strictSame(names, [0, 1, 2, 3].map(commitFileName))
    const text = await readFile(join(location, '_delta_log', commitFileName(2)), 'utf8')
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    t.match(lines[0].commitInfo, {
      operation: 'WRITE',
      isBlindAppend: true,
      inCommitTimestamp: Number,
    })
    t.strictSame(lines[1], add('b'))
    t.strictSame(lines[2], {
      protocol: {
        minReaderVersion: 1,
        minWriterVersion: 7,
        writerFeatures: ['appendOnly', 'inCommitTimestamp', 'invariants'],
      },
    })
    t.strictSame(lines[3].metaData, {
      ...foreignMetadata.metaData,
      configuration: {
        'delta.enableInCommitTimestamps': 'true',
        'delta.inCommitTimestampEnablementVersion': '2',
        'delta.inCommitTimestampEnablementTimestamp': String(first.body.inCommitTimestamp),
      },
    })
    t.equal(lines.length, 4)
    const third = await linesAt(name, 'commits/3')
    t.equal(third.length, 2, 'and no further version says it again')
  },
)

t.test('a first commit with metadata of its own gets the properties into it', async (t) => {
  const { name } = await importLog([beginning])
  const { metaData } = foreignMetadata
  const own = { ...metaData, configuration: { 'delta.appendOnly': 'true' } }
  const { body } = await server.commit(name, { actions: [{ metaData: own }] })
  const lines = (await linesAt(name, 'commits/1')).map((line) => JSON.parse(line))
  t.strictSame(lines.flatMap(Object.keys), ['commitInfo', 'metaData', 'protocol'])
  t.strictSame(lines[1].metaData.configuration, {
    'delta.appendOnly': 'true',
    'delta.enableInCommitTimestamps': 'true',
    'delta.inCommitTimestampEnablementVersion': '1',
    'delta.inCommitTimestampEnablementTimestamp': String(body.inCommitTimestamp),
  })
  const again = await server.commit(name, { actions: [{ metaData }] })
  t.match(again.body.violations, [
    { code: 'in-commit-timestamps-off' },
    { code: 'in-commit-timestamps-off' },
    { code: 'in-commit-timestamps-off' },
  ])
})

t.test('commits are taken on the protocols of all times', async (t) => {
  const protocols = [
    [1, 1],
    [1, 2],
    [1, 3],
    [1, 4],
    [2, 5],
    [2, 6],
    [1, 5],
    [2, 2],
  ] as const
  for (const [minReaderVersion, minWriterVersion] of protocols) {
    const protocol = { protocol: { minReaderVersion, minWriterVersion } }
    const { name } = await importLog([[protocol, foreignMetadata, add('a')]])
    const answers = []
    for (const actions of [
      [add('b')],
      [remove('a')],
      [add('c'), { txn: { appId: 'x', version: 1 } }],
    ]) {
      answers.push((await server.commit(name, { actions })).status)
    }
    t.strictSame(answers, [201, 201, 201], `${minReaderVersion}, ${minWriterVersion}`)
    const { body } = await server.get(`/tables/${name}`)
    t.match(body.protocol, { minReaderVersion, minWriterVersion: 7 })
  }
})

t.test('a large first commit turns them on as well', async (t) => {
  const { name } = await importLog([beginning])
  const many = Array.from({ length: 6000 }, (_, index) => JSON.stringify(add(`f${index}`)))
  const sent = await server.call('POST', `/tables/${name}/commits`, {
    raw: many.join('\n'),
    headers: { 'content-type': 'application/x-ndjson' },
  })
  t.equal(sent.status, 201)
  const lines = await linesAt(name, 'commits/1')
  t.equal(lines.length, 6003)
  t.strictSame(
    lines.slice(-2).flatMap((line) => Object.keys(JSON.parse(line))),
    ['protocol', 'metaData'],
  )
})

async function testForeignNames(t: Test, { commit }: Pick<TestServer, 'commit'>): Promise<void> {
  const vector = {
    storageType: 'i',
    pathOrInlineDv: 'wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
    sizeInBytes: 40,
    cardinality: 6,
  }
  const { name, answer } = await importLog([
    [
      {
        protocol: {
          minReaderVersion: 3,
          minWriterVersion: 7,
          readerFeatures: ['deletionVectors'],
          writerFeatures: ['deletionVectors'],
        },
      },
      {
        metaData: {
          ...foreignMetadata.metaData,
          configuration: { 'delta.enableDeletionVectors': 'true' },
        },
      },
      add('file:///shared/table/a%20b'),
      add('../other//c'),
    ],
  ])
  t.equal(answer.status, 201)
  const update = await commit(name, {
    actions: [
      remove('/shared/table/a%20b'),
      add('file:/shared/table/a%20b', { deletionVector: vector }),
      remove('../other//c'),
    ],
  })
  t.equal(update.status, 201, update.text)
  t.equal((await linesAt(name, 'files')).length, 1)
  t.match(await commit(name, { actions: [add('file:/shared/table/new')] }), { status: 422 })
  t.match(await commit(name, { actions: [remove('../other//c')] }), { status: 422 })
}

t.test('files that only another writer may name so can be removed and added anew', (t) =>
  testForeignNames(t, server),
)

t.test('those can be in a commit that is staged as well', async (t) => {
  const staging = await startTestServer(t, { heldActionsMax: 0 }, { beside: server })
  await testForeignNames(t, staging)
})

t.test('a repetition with its key imports once', async (t) => {
  const headers = { 'idempotency-key': 'import-once' }
  const { name, location, answer } = await importLog([beginning], headers)
  const again = await server.post('/tables/import', { name, location }, headers)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.strictSame(again.body, answer.body)
  t.match(await server.post('/tables/import', { name: 'other', location }), {
    status: 409,
    body: { code: 'location-taken' },
  })
  const elsewhere = newLocation()
  await writeForeignLog(elsewhere, [beginning])
  t.match(await server.post('/tables/import', { name, location: elsewhere }), {
    status: 409,
    body: { code: 'table-name-taken' },
  })
  t.match(await server.post('/tables/import', { name: 'other', location: '/etc' }), {
    status: 422,
    body: { code: 'location-not-allowed' },
  })
})

t.test('damage is refused by file and line, and leaves nothing behind', async (t) => {
  const file = (version: number) => `_delta_log/${commitFileName(version)}`
  const vector = {
    storageType: 'u',
    pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
    offset: 1,
    sizeInBytes: 1,
    cardinality: 1,
  }
  const cases: [string, Versions, object][] = [
    ['a gap', [beginning, undefined, [add('a')]], { file: file(1) }],
    ['no commit at all', [], { file: file(0) }],
    ['a late beginning', [undefined, [add('a')]], { file: file(0) }],
    ['no protocol', [[foreignMetadata]], { file: file(0) }],
    ['no metadata', [[legacyProtocol], [foreignMetadata]], { file: file(0) }],
    ['broken JSON', [beginning, [add('a'), '{"add":{"path"']], { file: file(1), line: 2 }],
    ['no object', [[...beginning, '7']], { file: file(0), line: 4 }],
    ['a wrong shape', [beginning, ['{"add":{"path":1}}']], { file: file(1), line: 1 }],
    ['an empty path', [[...beginning, add('')]], { file: file(0), line: 4 }],
    [
      'two actions in a line',
      [[...beginning, { ...add('a'), ...remove('b') }]],
      { file: file(0), line: 4 },
    ],
    [
      'a reader feature',
      [
        [
          {
            protocol: {
              minReaderVersion: 3,
              minWriterVersion: 7,
              readerFeatures: ['new'],
              writerFeatures: ['new'],
            },
          },
          foreignMetadata,
        ],
      ],
      { file: file(0), line: 1 },
    ],
    [
      'a writer feature',
      [
        [
          {
            protocol: {
              minReaderVersion: 1,
              minWriterVersion: 7,
              writerFeatures: ['somethingNew'],
            },
          },
          foreignMetadata,
        ],
      ],
      { file: file(0) },
    ],
    [
      'catalogManaged',
      [
        [
          {
            protocol: {
              minReaderVersion: 3,
              minWriterVersion: 7,
              readerFeatures: ['catalogManaged'],
              writerFeatures: ['catalogManaged', 'inCommitTimestamp'],
            },
          },
          foreignMetadata,
        ],
      ],
      { file: file(0) },
    ],
    ['added and removed', [beginning, [add('a'), remove('a')]], { file: file(1), line: 1 }],
    ['added twice', [beginning, [add('a'), add('a', { size: 7 })]], { file: file(1), line: 2 }],
    [
      'two vectors',
      [beginning, [add('a')], [add('a', { deletionVector: vector })]],
      { file: file(2), line: 1 },
    ],
    [
      'two txns',
      [beginning, [{ txn: { appId: 'x', version: 1 } }, { txn: { appId: 'x', version: 2 } }]],
      { file: file(1), line: 2 },
    ],
    [
      'sizes beyond a long',
      [
        beginning,
        [
          add('a'),
          '{"add":{"path":"b","partitionValues":{},"size":9223372036854775807,"modificationTime":1,"dataChange":true}}',
        ],
      ],
      {},
    ],
  ]
  for (const [what, versions, facts] of cases) {
    const { answer, name } = await importLog(versions)
    t.match(answer, { status: 422, body: { code: 'delta-log-invalid', ...facts } }, what)
    t.equal((await server.get(`/tables/${name}`)).status, 404)
  }
  const { rows } = await server.pool.query(
    'select count(*) from files where table_id not in (select id from tables)',
  )
  t.strictSame(rows, [{ count: 0 }])
})

t.test('what was said twice alike is taken once', async (t) => {
  const { answer, name } = await importLog([beginning, [add('a'), add('a'), '']])
  t.match(answer, { status: 201, body: { statistics: { numFiles: 1, sizeInBytes: 100 } } })
  t.strictSame(await linesAt(name, 'commits/1'), linesOf([add('a'), add('a')]))
})

t.test('a table of an early writer, who gave it no schema, gets checkpoints too', async (t) => {
  const { schemaString: _, ...metaData } = foreignMetadata.metaData
  const { name, answer } = await importLog([[legacyProtocol, { metaData }, add('a')]])
  t.equal(answer.status, 201)
  const checkpoint = await server.post(`/tables/${name}/mirror/checkpoint`)
  t.match(checkpoint, { status: 200, body: { version: 0, numAddFiles: 1 } })
  t.match(await server.post(`/tables/${name}/mirror/verify`), { body: { verified: true } })
  t.match(await server.commit(name, { actions: [remove('a')] }), { status: 201 })
  t.match(await server.post(`/tables/${name}/scan`, {}), { status: 200 })
})
