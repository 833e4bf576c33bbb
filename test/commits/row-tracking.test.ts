import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add, plainSchema, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const held = await startTestServer(t)
/** Row ids are given to few files in memory, and to many by PostgreSQL: here to all of them. */
const servers = {
  'held in memory': held,
  staged: await startTestServer(t, { heldActionsMax: 0 }, { beside: held }),
}
const enableRowTracking = { 'delta.enableRowTracking': 'true' }
const rowIdColumn = 'delta.rowTracking.materializedRowIdColumnName'
const commitVersionColumn = 'delta.rowTracking.materializedRowCommitVersionColumnName'
const records = (numRecords: number) => ({ stats: JSON.stringify({ numRecords }) })

async function logLines(table: string, version: number): Promise<string[]> {
  const { text } = await held.get(`/tables/${table}/commits/${version}`, {
    accept: 'application/x-ndjson',
  })
  return text.trimEnd().split('\n')
}

async function domains(table: string) {
  return (await held.get(`/tables/${table}/snapshot`)).body.domainMetadata
}

const highest = (mark: number | string) => ({
  domain: 'delta.rowTracking',
  configuration: `{"rowIdHighWaterMark":${mark}}`,
  removed: false,
})

t.test('a table is made to track its rows', async (t) => {
  const enabled = await held.makeTable({ configuration: enableRowTracking })
  const { protocol, metadata } = (await held.get(`/tables/${enabled}`)).body
  t.same(protocol.writerFeatures, ['domainMetadata', 'inCommitTimestamp', 'rowTracking'])
  t.match(metadata.configuration, { [rowIdColumn]: /^_row-id-col-.{36}$/ })
  t.match(metadata.configuration, { [commitVersionColumn]: /^_row-commit-version-col-.{36}$/ })
  const named = { [rowIdColumn]: 'r', [commitVersionColumn]: 'v' }
  const supported = await held.makeTable({
    configuration: named,
    protocol: {
      minReaderVersion: 1,
      minWriterVersion: 7,
      writerFeatures: ['rowTracking', 'domainMetadata'],
    },
  })
  const table = (await held.get(`/tables/${supported}`)).body
  t.match(table.metadata.configuration, named)
  t.notOk('delta.enableRowTracking' in table.metadata.configuration)
  const refused = await held.post('/tables', {
    name: 'clash',
    schema: plainSchema,
    configuration: { ...enableRowTracking, [rowIdColumn]: 'ID' },
  })
  t.equal(refused.status, 422)
  t.match(refused.body.errors[0], {
    pointer: `/configuration/${rowIdColumn}`,
    message: /no column has, not "ID"/,
  })
})

for (const [how, server] of Object.entries(servers)) {
  t.test(
    `${how}: row ids are put into the very text of the writer, and published like that`,
    async (t) => {
      const id = await server.makeTable({ configuration: enableRowTracking })
      const lines = [
        '{"add":{"path":"a%20b","partitionValues":{},"size":1,"baseRow\\u0049d":null,"modificationTime":1,"dataChange":true,"stats":"{\\"numRecords\\":9007199254740992}","odd":[1.50,12345678901234567890]}}',
        '{"\\u0061dd":{"path":"c","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"stats":"{\\"numRecords\\":3}"}}',
        '{"add":{"path":"d","defaultRowCommitVersion":null,"tags":{"baseRowId":null,"\u{1d7d9}":"\\u0000é\\ud835\\udfd9"},"baseRowId":null,"partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,"stats":"{\\"numRecords\\":0}"}}',
      ]
      const answer = await server.call('POST', `/tables/${id}/commits`, {
        raw: lines.join('\n'),
        headers: { 'content-type': 'application/x-ndjson' },
      })
      t.equal(answer.status, 201, answer.text)
      const [, ...written] = await logLines(id, 1)
      t.strictSame(written, [
        lines[0]
          ?.replace('"baseRow\\u0049d":null', '"baseRow\\u0049d":0')
          .replace('}}', ',"defaultRowCommitVersion":1}}'),
        lines[1]?.replace('}}', ',"baseRowId":9007199254740992,"defaultRowCommitVersion":1}}'),
        lines[2]
          ?.replace('"defaultRowCommitVersion":null', '"defaultRowCommitVersion":1')
          .replace('"baseRowId":null,"part', '"baseRowId":9007199254740995,"part'),
        '{"domainMetadata":{"domain":"delta.rowTracking","configuration":"{\\"rowIdHighWaterMark\\":9007199254740994}","removed":false}}',
      ])
      await server.published(id)
      const { location } = (await server.get(`/tables/${id}`)).body
      const file = await readFile(join(location, '_delta_log/00000000000000000001.json'), 'utf8')
      t.strictSame(file.trimEnd().split('\n'), await logLines(id, 1))
      t.strictSame(await domains(id), [highest('9007199254740994')])
      const paths = ['a%20b', 'c', 'd']
      await server.commit(id, { actions: paths.map((path) => remove(path)) })
      const removed = (await logLines(id, 2)).slice(1)
      t.strictSame(
        removed.map((line) => /"baseRowId":(\d+),"defaultRowCommitVersion":1}}$/.exec(line)?.[1]),
        ['0', '9007199254740992', '9007199254740995'],
      )
    },
  )

  t.test(
    `${how}: files keep their row ids while they are in the table, and take them along`,
    async (t) => {
      const id = await server.makeTable({
        configuration: { ...enableRowTracking, 'delta.enableDeletionVectors': 'true' },
      })
      await server.commit(id, { actions: [add('a', records(5)), add('b', records(2))] })
      const deletionVector = {
        storageType: 'u',
        pathOrInlineDv: 'v'.repeat(20),
        offset: 1,
        sizeInBytes: 9,
        cardinality: 1,
      }
      const actions = [remove('b'), add('b', { ...records(2), deletionVector })]
      t.equal((await server.commit(id, { actions })).status, 201)
      const ids = { baseRowId: 5, defaultRowCommitVersion: 1 }
      const [removed, added, ...more] = (await logLines(id, 2))
        .slice(1)
        .map((line) => JSON.parse(line))
      t.match(removed.remove, ids)
      t.match(added.add, ids)
      t.same(more, [])
      await server.commit(id, { actions: [remove('a')] })
      t.equal(
        (await server.commit(id, { actions: [add('a', records(5)), add('c', records(0))] })).status,
        201,
      )
      const files = (await server.get(`/tables/${id}/files`)).body.items.map(
        (item: { add: object }) => item.add,
      )
      t.match(files, [
        { path: 'b', ...ids },
        { path: 'a', baseRowId: 7, defaultRowCommitVersion: 4 },
        { path: 'c', baseRowId: 12, defaultRowCommitVersion: 4 },
      ])
      t.strictSame(await domains(id), [highest(11)])
    },
  )

  t.test(`${how}: writers at once never share a row id`, async (t) => {
    const id = await server.makeTable({ configuration: enableRowTracking })
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, at) =>
        server.commit(id, { actions: [add(`${at}-x`, records(at)), add(`${at}-y`, records(1))] }),
      ),
    )
    t.ok(answers.every(({ status }) => status === 201))
    const { items } = (await server.get(`/tables/${id}/files?limit=1000`)).body
    const rows = items.flatMap(
      ({ add: { baseRowId, stats } }: { add: { baseRowId: number; stats: string } }) =>
        Array.from({ length: JSON.parse(stats).numRecords }, (_, at) => baseRowId + at),
    )
    t.equal(rows.length, 820)
    t.equal(new Set(rows).size, 820)
    t.strictSame(await domains(id), [highest(819)])
  })

  t.test(`${how}: row tracking can be enabled once every file has row ids`, async (t) => {
    const id = await server.makeTable()
    await server.commit(id, {
      actions: [
        add('a', { ...records(3), tags: { nul: '\0', pair: '\u{1d7d9}' } }),
        add('b', records(4)),
        add('c', records(5)),
      ],
    })
    const { metadata, protocol } = (await server.get(`/tables/${id}`)).body
    const names = { [rowIdColumn]: '_r', [commitVersionColumn]: '_v' }
    const enable = {
      metaData: {
        ...metadata,
        configuration: { ...metadata.configuration, ...enableRowTracking, ...names },
      },
    }
    const support = {
      protocol: {
        ...protocol,
        writerFeatures: [...protocol.writerFeatures, 'rowTracking', 'domainMetadata'],
      },
    }
    const early = await server.commit(id, { actions: [support, enable, remove('c')] })
    t.match(early.body, {
      status: 422,
      violations: [
        { code: 'row-tracking-incomplete', index: 1, message: /^metaData configuration: 2 files/ },
      ],
    })
    t.equal((await server.commit(id, { actions: [support] })).status, 201)
    const again = (path: string, count: number) =>
      add(path, { ...records(count), dataChange: false })
    const actions = [again('a', 3), again('b', 4)]
    t.equal((await server.commit(id, { operation: 'ROW TRACKING BACKFILL', actions })).status, 201)
    t.match((await server.commit(id, { actions: [enable] })).body.violations, [
      { code: 'row-tracking-incomplete' },
    ])
    const last = await server.commit(id, { actions: [enable, remove('c')] })
    t.equal(last.status, 201, last.text)
    t.equal((await server.commit(id, { actions: [enable, add('d', records(1))] })).status, 201)
    t.strictSame(await domains(id), [highest(7)])
  })

  t.test(`${how}: files can get their row ids in the commit that turns tracking on`, async (t) => {
    const id = await server.makeTable()
    await server.commit(id, { actions: ['a', 'b', 'c', 'd'].map((path) => add(path, records(3))) })
    const { metadata, protocol } = (await server.get(`/tables/${id}`)).body
    const writerFeatures = [...protocol.writerFeatures, 'rowTracking', 'domainMetadata']
    const configuration = {
      ...metadata.configuration,
      ...enableRowTracking,
      [rowIdColumn]: '_r',
      [commitVersionColumn]: '_v',
    }
    const enable = [
      { metaData: { ...metadata, configuration } },
      { protocol: { ...protocol, writerFeatures } },
    ]
    const actions = [add('a', records(3)), remove('b'), add('new', records(1)), ...enable]
    const early = await server.commit(id, { actions })
    t.match(early.body.violations, [
      { code: 'row-tracking-incomplete', index: 3, message: /^metaData configuration: 2 files/ },
    ])
    const whole = [...actions, remove('c'), add('d', records(3))]
    t.equal((await server.commit(id, { actions: whole })).status, 201)
    const lines = (await logLines(id, 2)).map((line) => JSON.parse(line))
    t.match(
      lines.flatMap(({ add: file }) => (file ? [[file.path, file.baseRowId]] : [])),
      [
        ['a', 0],
        ['new', 3],
        ['d', 4],
      ],
    )
    t.strictSame(await domains(id), [highest(6)])
  })

  t.test(`${how}: what breaks row tracking is refused with its reason`, async (t) => {
    const id = await server.makeTable({ configuration: enableRowTracking })
    const configuration = '{"rowIdHighWaterMark":-1}'
    const domain = {
      domainMetadata: { domain: 'delta.rowTracking', configuration, removed: false },
    }
    const actions = [add('a', { stats: null }), domain, add('b', { ...records(1), baseRowId: 5 })]
    const { status, body } = await server.commit(id, { actions })
    t.equal(status, 422)
    t.match(
      body.violations.map(({ code }: { code: string }) => code),
      ['row-ids-without-records', 'domain-reserved', 'row-ids-contradict'],
    )
    const most = { stats: '{"numRecords":9223372036854775807}' }
    t.equal(
      (
        await server.call('POST', `/tables/${id}/commits`, {
          raw: JSON.stringify({ actions: [add('a', most)] }),
          headers: { 'content-type': 'application/json' },
        })
      ).status,
      201,
    )
    await server.commit(id, { actions: [remove('a')] })
    const full = await server.commit(id, { actions: [add('c', records(5))] })
    t.match(full.body.violations[0], { code: 'long-invalid', message: /row ids/ })
  })
}
