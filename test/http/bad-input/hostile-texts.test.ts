import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'

const server = await startTestServer(t)

/** Texts that mean something to what they pass through: SQL, JSON, shells, logs, terminals, templates. */
const hostile = [
  "'; drop table commits; --",
  '"); delete from files where ("1"="1',
  "\\'; select pg_sleep(10); --",
  '$1 $$ $tag$ :name %s %n ? {} $' + '{x} {{x}}',
  "E'\\x27' || chr(39) /* */ -- \\",
  '"quoted" \\"escaped\\" \\u0000 \\n',
  '</script><script>alert(1)</script>',
  '\u001b[31m red \u0007 \b \t \r\n line',
  '\u202e right to left \u200b \ufeff \u2028 \ufffe',
  'e\u0301 é ß İ 字 😀 👩‍👩‍👧',
  '__proto__',
  'constructor',
  'null',
  ' outer spaces ',
  `long ${'x'.repeat(200)}`,
]

t.test('texts in a table come back as they were, also from its log', async (t) => {
  for (const [index, text] of hostile.entries()) {
    const mapping = { 'delta.columnMapping.id': 1, 'delta.columnMapping.physicalName': 'c1' }
    const definition = {
      name: `hostile_${index}`,
      description: text,
      configuration: {
        'delta.columnMapping.mode': 'name',
        'delta.columnMapping.maxColumnId': '1',
        [`app.${text}`]: text,
      },
      schema: {
        type: 'struct',
        fields: [
          { name: text, type: 'string', nullable: true, metadata: { [text]: text, ...mapping } },
        ],
      },
    }
    const created = await server.post('/tables', definition)
    t.equal(created.status, 201)
    const { id, location, metadata } = (await server.get(`/tables/hostile_${index}`)).body
    t.equal(metadata.description, text)
    t.equal(metadata.configuration[`app.${text}`], text)
    const [field] = JSON.parse(metadata.schemaString).fields
    t.equal(field.name, text)
    t.equal(field.metadata[text], text)
    await server.published(id)
    const log = await readFile(join(location, '_delta_log', '00000000000000000000.json'), 'utf8')
    const lines = log.trimEnd().split('\n')
    t.strictSame(JSON.parse(lines[2] ?? '').metaData, metadata)
  }
})

t.test('texts in a commit come back as they were', async (t) => {
  const id = await server.makeTable({
    schema: {
      type: 'struct',
      fields: [
        { name: 'p', type: 'string', nullable: true, metadata: {} },
        { name: 'id', type: 'long', nullable: true, metadata: {} },
      ],
    },
    partitionColumns: ['p'],
  })
  for (const [index, text] of hostile.entries()) {
    const path = encodeURIComponent(`${index} ${text}`).replaceAll('%2F', '~')
    const file = add(path, {
      partitionValues: { p: text },
      tags: { [text]: text },
      [`unknown ${text}`]: { [text]: text },
    })
    const proposal = {
      operation: text,
      userMetadata: text,
      engineInfo: text,
      operationParameters: { [text]: text },
      actions: [file, { txn: { appId: text, version: index } }, { [`kind ${text}`]: text }],
    }
    const version = index + 1
    t.match(await server.commit(id, proposal), { status: 201, body: { version } })
    const { body } = await server.get(`/tables/${id}/commits/${version}`)
    t.equal(body.operation, text)
    const [{ commitInfo }, ...actions] = body.actions
    t.strictSame(actions, proposal.actions)
    const { operation, userMetadata, engineInfo, operationParameters } = commitInfo
    t.strictSame(
      { operation, userMetadata, engineInfo, operationParameters },
      {
        operation: text,
        userMetadata: text,
        engineInfo: text,
        operationParameters: { [text]: text },
      },
    )
  }
  const { body } = await server.get(`/tables/${id}/snapshot`)
  t.strictSame(
    body.appTransactions.map(({ appId }: { appId: string }) => appId).sort(),
    [...hostile].sort(),
  )
  const files = await server.get(`/tables/${id}/files`)
  t.strictSame(
    files.body.items.map((item: ReturnType<typeof add>) => item.add['partitionValues']),
    hostile.map((p) => ({ p })),
  )
})

t.test('an Idempotency-Key is no SQL either', async (t) => {
  const id = await server.makeTable()
  const printable = hostile.filter((text) => /^[\x21-\x7e][ -~]*[\x21-\x7e]$/.test(text))
  for (const [index, text] of printable.entries()) {
    const headers = { 'idempotency-key': `"${text.replace(/["\\]/g, '\\$&')}"` }
    const send = () => server.commit(id, { actions: [add(`f${index}`)] }, headers)
    t.equal((await send()).body.version, index + 1)
    t.equal((await send()).headers.get('idempotency-replayed'), 'true')
  }
})

t.test('nothing was dropped, nothing failed', async (t) => {
  t.equal((await server.get('/tables?limit=1000')).body.items.length, hostile.length + 2)
  t.strictSame(
    server.logged.filter(({ level }) => Number(level) >= 40),
    [],
  )
})
