import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { linesOf } from '../delta-log/foreign-log.ts'
import { readLog, readTableEnd } from '../faults/table-end.ts'
import { add, plainSchema, remove } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const ndjson = { accept: 'application/x-ndjson' }
const missing = '00000000-0000-4000-8000-000000000000'

const vector = (name: string, cardinality: number) => ({
  storageType: 'u',
  pathOrInlineDv: name.padEnd(20, 'x'),
  offset: 1,
  sizeInBytes: 36,
  cardinality,
})

/** What another writer does, in turn; with everything that a log can hold. */
const story: object[] = [
  { actions: [add('a'), add('b'), add('c'), { txn: { appId: 'x', version: 1 } }] },
  {
    operation: 'DELETE',
    actions: [
      remove('a'),
      { cdc: { path: 'cdc', partitionValues: {}, size: 1, dataChange: false } },
    ],
  },
  { actions: [add('a'), { txn: { appId: 'x', version: 2 } }, { txn: { appId: 'y', version: 7 } }] },
  {
    operation: 'DELETE',
    actions: [
      remove('b'),
      add('b', { deletionVector: vector('first', 3), stats: '{"numRecords":10}' }),
    ],
  },
  {
    actions: [
      add('d', { stats: '{"numRecords":4}' }),
      { domainMetadata: { domain: 'own', configuration: 'one', removed: false } },
    ],
  },
  {
    operation: 'OPTIMIZE',
    actions: [remove('a'), remove('c'), add('e', { size: 9_007_199_254_740_991 })],
  },
  {
    actions: [
      { domainMetadata: { domain: 'own', configuration: 'two', removed: false } },
      { later: { kind: [1, 2.5] } },
    ],
  },
  { actions: [add('f'), remove('never there'), remove('d')] },
]

t.test('what another service wrote is taken in, whatever it is and from wherever on', async (t) => {
  const writer = await startTestServer(t)
  const adopter = await startTestServer(t, { mirrorRoots: [join(writer.dataDir, 'tables')] })
  for (const [known, more] of [
    [0, 1],
    [1, 7],
    [3, 3],
    [4, 4],
    [6, 1],
    [7, 1],
  ] as const) {
    await t.test(`${more} versions behind version ${known}`, async (t) => {
      const taken = `taken_${known}`
      const source = await writer.makeTable({
        configuration: {
          'delta.enableDeletionVectors': 'true',
          'delta.enableRowTracking': 'true',
          'delta.enableChangeDataFeed': 'true',
        },
      })
      await play(t, writer, source, story.slice(0, known))
      const { location } = (await writer.get(`/tables/${source}`)).body
      const imported = await adopter.post('/tables/import', { name: taken, location })
      t.equal(imported.status, 201, imported.text)
      await play(t, writer, source, story.slice(known, known + more))
      const before = await readLog(join(location, '_delta_log'))
      const answer = await adopter.post(`/tables/${taken}/mirror/retry?policy=adopt`)
      t.strictSame(
        answer.body,
        { state: 'current', publishedVersion: known + more, pending: 0, lagMs: 0 },
        answer.text,
      )
      t.strictSame(await readLog(join(location, '_delta_log')), before, 'nothing is written')
      await sameHistory(t, [writer, source], [adopter, taken])
      await livesOn(t, [adopter, taken], known + more)
      t.match(await adopter.post(`/tables/${taken}/mirror/verify`), {
        body: { verified: true, versions: { from: 0, to: known + more + 2 }, differences: [] },
      })
    })
  }
})

/** Plays what a writer does, and waits until it stands in the log. */
async function play(t: Test, writer: TestServer, table: string, commits: readonly object[]) {
  for (const commit of commits) {
    const answer = await writer.commit(table, { engineInfo: 'the other', ...commit })
    t.equal(answer.status, 201, answer.text)
  }
  await writer.published(table)
}

type Place = [server: TestServer, table: string]

/** Compares all that can be read of a table, at each version. */
async function sameHistory(t: Test, [one, table]: Place, [other, taken]: Place): Promise<void> {
  const { version } = (await one.get(`/tables/${table}`)).body
  const { id } = (await other.get(`/tables/${taken}`)).body
  const both = async (path: string, headers = {}) => {
    const answers = await Promise.all([
      one.get(`/tables/${table}/${path}`, headers),
      other.get(`/tables/${id}/${path}`, headers),
    ])
    const [expected, found] = answers.map(({ text }) => text)
    return [expected, found?.replace(`"tableId":"${id}"`, `"tableId":"${table}"`)]
  }
  for (let at = 0; at <= version; at += 1) {
    for (const path of [`commits/${at}`, `files?version=${at}`]) {
      const [expected, found] = await both(path, ndjson)
      t.equal(found, expected, path)
    }
    for (const path of [`snapshot?version=${at}`, `changes?from=${at}&to=${version}`]) {
      const [expected, found] = await both(path)
      t.equal(found, expected, path)
    }
  }
  const [expected, found] = await both('commits')
  t.strictSame(withoutTimes(found), withoutTimes(expected), 'history')
}

/** When a commit was entered is each service's own. */
function withoutTimes(text: string | undefined): unknown {
  return JSON.parse(text ?? '', (key, value) => (key === 'committedAt' ? undefined : value))
}

/** The next commit is judged by what was taken in, and goes into the same folder. */
async function livesOn(t: Test, [server, table]: Place, version: number): Promise<void> {
  const next = await server.commit(table, {
    expectedVersion: version + 1,
    actions: [add('next')],
  })
  t.match(next, { status: 201, body: { version: version + 1 } }, next.text)
  const again = await server.commit(table, { actions: [remove('f'), remove('e'), add('last')] })
  t.equal(again.status, 201, again.text)
  await server.published(table)
  const { commits, log } = await readTableEnd(server, table)
  t.strictSame(
    [...log],
    commits.map(({ version: at, lines }) => [commitFileName(at), lines]),
  )
}

t.test('commits of other habits are taken in line for line', async (t) => {
  const { server, table, write, adopt, log } = await tableWithFork(t)
  const head = (await server.get(`/tables/${table}`)).body
  const versions = [
    [
      add('x'),
      { commitInfo: { operation: 'WRITE', timestamp: 5 } },
      { txn: { appId: 'x', version: 3 } },
    ],
    [' {"remove": {"path":"x","dataChange":true}} '],
    [
      { commitInfo: { inCommitTimestamp: head.inCommitTimestamp + 1e9 } },
      add('y%20z', { stats: undefined }),
    ],
  ]
  for (const [index, lines] of versions.entries()) await write(index + 1, lines)
  const before = await readLog(log)
  t.match(await adopt(), { status: 200, body: { state: 'current', publishedVersion: 3 } })
  for (const [index, lines] of versions.entries()) {
    const { text } = await server.get(`/tables/${table}/commits/${index + 1}`, ndjson)
    t.equal(
      text,
      linesOf(lines)
        .map((line) => `${line.trim()}\n`)
        .join(''),
    )
  }
  const { items } = (await server.get(`/tables/${table}/commits`)).body
  const times = items.map((item: { inCommitTimestamp: number }) => item.inCommitTimestamp)
  t.equal(times[0], head.inCommitTimestamp + 1e9, 'what the commit says of its time is taken over')
  t.strictSame(
    times,
    [...times].sort((a, b) => b - a),
    'and times rise',
  )
  t.match(await server.get(`/tables/${table}/files`), {
    body: { items: [{ add: { path: 'y%20z' } }] },
  })
  t.match(await server.get(`/tables/${table}/app-transactions/x`), {
    body: { version: 3, committedIn: 1 },
  })
  t.strictSame(await readLog(log), before)
})

t.test('nothing to take in is no fault', async (t) => {
  const { server, table, adopt } = await tableWithFork(t)
  t.match(await adopt(), { status: 200, body: { state: 'current', publishedVersion: 0 } })
  t.match(await server.post(`/tables/${missing}/mirror/retry?policy=adopt`), { status: 404 })
  await server.call('DELETE', `/tables/${table}`)
  t.match(await adopt(), { status: 409, body: { code: 'table-dropped' } })
})

t.test(
  'what has lost its first commit cannot be taken in; what breaks off later can, up to there',
  async (t) => {
    const { server, table, write, adopt } = await tableWithFork(t)
    await write(2, [add('x')])
    t.match(await adopt(), {
      status: 409,
      body: { code: 'not-adoptable', detail: /version 2, and version 1 is missing/ },
    })
    t.match(await server.get(`/tables/${table}`), { body: { version: 0 } })
    await write(1, [add('y')])
    await write(4, [add('z')])
    t.match(await adopt(), { status: 200, body: { state: 'current', publishedVersion: 2 } })
  },
)

t.test('a fork that was found is mended', async (t) => {
  const { server, table, write, adopt } = await tableWithFork(t)
  await write(1, [add('x')])
  t.match(await server.post(`/tables/${table}/mirror/retry`), { body: { state: 'forked' } })
  const key = { 'idempotency-key': 'once' }
  const first = await adopt(key)
  t.strictSame(first.body, { state: 'current', publishedVersion: 1, pending: 0, lagMs: 0 })
  await write(2, [add('y')])
  const again = await adopt(key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.strictSame(again.body, first.body)
  t.match(await adopt(), { body: { state: 'current', publishedVersion: 2 } })
})

t.test('a mirror that is paused takes in, and stays paused', async (t) => {
  const { server, table, write, adopt } = await tableWithFork(t)
  await server.post(`/tables/${table}/mirror/pause`)
  await write(1, [add('x')])
  t.match(await adopt(), { status: 200, body: { state: 'paused', publishedVersion: 1 } })
})

t.test('what was committed here cannot make room', async (t) => {
  const { server, table, write, adopt, log } = await tableWithFork(t)
  await server.post(`/tables/${table}/mirror/pause`)
  for (const file of ['a', 'b']) await server.commit(table, { actions: [add(file)] })
  t.match(await adopt(), {
    status: 409,
    body: { code: 'not-adoptable', detail: /nothing else stands/, ours: { from: 1, to: 2 } },
  })
  for (const version of [1, 2, 3]) await write(version, [add(`their ${version}`)])
  const refusal = await adopt()
  t.match(refusal, {
    status: 409,
    body: { code: 'not-adoptable', ours: { from: 1, to: 2 }, theirs: { from: 1, to: 3 } },
  })
  t.match(refusal.body.detail, /^Versions 1 to 2 were committed here .* files for versions 1 to 3/)
  const before = await readLog(log)
  await server.post(`/tables/${table}/mirror/resume`)
  await seeState(server, table, 'forked')
  t.match(await adopt(), { status: 409, body: { code: 'not-adoptable' } })
  t.strictSame(await readLog(log), before, 'nothing of theirs is lost')
  t.match(await server.get(`/tables/${table}`), {
    body: { version: 2, statistics: { numFiles: 2 } },
  })

  await t.test('and is published once theirs is moved away, as the refusal says', async (t) => {
    for (const version of [1, 2, 3]) {
      await rename(join(log, commitFileName(version)), join(log, '..', `their-${version}.json`))
    }
    await server.post(`/tables/${table}/mirror/retry`)
    await server.published(table)
    t.equal((await readLog(log)).size, 3)
    t.match(await readFile(join(log, '..', 'their-3.json'), 'utf8'), /their 3/)
  })
})

const broken: [name: string, lines: (object | string)[], detail: RegExp][] = [
  ['is no JSON', [add('x'), '{"add":'], /0{19}2\.json, line 2/],
  ['has a fault in its shape', [{ add: { path: 'x' } }], /line 1/],
  [
    'needs readers that do not exist',
    [{ protocol: { minReaderVersion: 9, minWriterVersion: 9 } }],
    /readers of version 9/,
  ],
  [
    'needs a feature for writing that is not known',
    [
      {
        protocol: {
          minReaderVersion: 1,
          minWriterVersion: 7,
          writerFeatures: ['inCommitTimestamp', 'notYetKnown'],
        },
      },
    ],
    /notYetKnown/,
  ],
  ['names a file twice', [add('z'), add('z', { size: 5 })], /twice/],
  [
    'adds a file that is there with another deletion vector',
    [add('there', { deletionVector: vector('v', 1) })],
    /deletion vector/,
  ],
]

for (const [name, lines, detail] of broken) {
  t.test(`a commit that ${name} is refused, and with it those before it`, async (t) => {
    const { server, table, write, adopt, log } = await tableWithFork(t)
    await write(1, [add('there')])
    await write(2, lines)
    await write(3, [add('x')])
    const before = await readLog(log)
    const refusal = await adopt()
    t.match(
      refusal,
      { status: 422, body: { code: 'delta-log-invalid', file: /^_delta_log\/0+[23]\.json$/ } },
      refusal.text,
    )
    t.match(refusal.body.detail, detail)
    t.strictSame(await readLog(log), before)
    t.match(await server.get(`/tables/${table}`), {
      body: { version: 0, statistics: { numFiles: 0 } },
    })
    t.match(await server.post(`/tables/${table}/mirror/retry`), { body: { state: 'forked' } })
  })
}

t.test('commits that come at the same moment never take a version twice', async (t) => {
  const server = await startTestServer(t)
  const ends: string[] = []
  for (let round = 0; round < 12; round += 1) {
    const { table, write, adopt, log } = await tableWithFork(t, server)
    for (const version of [1, 2, 3]) await write(version, [add(`their ${version}`)])
    const before = await readLog(log)
    // The first ones come while the log is read, the last ones behind all.
    const [adopted, committed] = await Promise.all([
      adopt(),
      sleep(round * 5).then(() => server.commit(table, { actions: [add('ours')] })),
    ])
    t.equal(committed.status, 201)
    const { version } = committed.body
    ends.push(`${adopted.status} and version ${version}`)
    if (adopted.status === 409) {
      t.equal(version, 1)
      await seeState(server, table, 'forked')
    } else {
      t.match(adopted.status, 200)
      t.equal(version, 4)
      await server.published(table)
    }
    const after = await readLog(log)
    for (const [name, text] of before) t.equal(after.get(name), text, 'theirs stays')
  }
  t.comment(ends.join(', '))
})

/** A table of which version 0 is published, and what others can do with its log. */
async function tableWithFork(t: Test, beside?: TestServer) {
  const server = beside ?? (await startTestServer(t))
  const table = await server.makeTable({
    schema: plainSchema,
    configuration: { 'delta.enableDeletionVectors': 'true' },
  })
  await server.published(table)
  const log = join(server.dataDir, 'tables', table, '_delta_log')
  return {
    server,
    table,
    log,
    write: (version: number, lines: readonly (object | string)[]) =>
      writeFile(
        join(log, commitFileName(version)),
        linesOf(lines)
          .map((line) => `${line}\n`)
          .join(''),
      ),
    adopt: (headers = {}) =>
      server.post(`/tables/${table}/mirror/retry?policy=adopt`, undefined, headers),
  }
}

async function seeState(server: TestServer, table: string, state: string): Promise<void> {
  for (;;) {
    const { body } = await server.get(`/tables/${table}/mirror`)
    if (body.state === state) return
    await sleep(20)
  }
}
