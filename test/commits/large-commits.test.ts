import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { sql } from 'kysely'
import t from 'tap'
import { abandonedStages } from '../../src/commits/staged/stage.ts'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)
const ndjson = { 'content-type': 'application/x-ndjson' }
const count = 12_000

function lines(values: Iterable<object>): string {
  return Array.from(values, (value) => JSON.stringify(value)).join('\n')
}

const manyAdds = (prefix: string) =>
  Array.from({ length: count }, (_, index) => add(`${prefix}/${index}`, { odd: [1.5, index] }))

const send = (table: string, raw: string, headers = {}) =>
  server.call('POST', `/tables/${table}/commits`, { raw, headers: { ...ndjson, ...headers } })

async function stages(): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_tables where tablename like 'stage\\_%'`.execute(
    server.db,
  )
  return rows[0]?.count ?? -1
}

/** A stage goes in the wake of its answer. */
async function stagesGone(): Promise<void> {
  while ((await stages()) > 0);
}

t.test('a large commit is one version, and is published as it came', async (t) => {
  const id = await server.makeTable()
  const sent = manyAdds('a')
  const answer = await send(id, lines(sent))
  t.match(answer, {
    status: 201,
    body: { version: 1, numAddedFiles: count, numAddedBytes: count * 100 },
  })
  await server.published(id)
  const { location, statistics } = (await server.get(`/tables/${id}`)).body
  t.match(statistics, { numFiles: count, sizeInBytes: count * 100, numRecords: count * 10 })
  const file = await readFile(join(location, '_delta_log/00000000000000000001.json'), 'utf8')
  const [info, ...actions] = file.trimEnd().split('\n')
  t.match(JSON.parse(info ?? ''), { commitInfo: { operation: 'WRITE', isBlindAppend: true } })
  t.equal(actions.join('\n'), lines(sent))
  const rewrite = [...sent.map(({ add: { path } }) => remove(String(path))), add('whole')]
  const query = '?readVersion=1&operation=OPTIMIZE'
  const compacted = await server.call('POST', `/tables/${id}/commits${query}`, {
    raw: lines(rewrite),
    headers: ndjson,
  })
  t.match(compacted, {
    status: 201,
    body: { version: 2, numRemovedFiles: count, numAddedFiles: 1 },
  })
  t.match((await server.get(`/tables/${id}`)).body.statistics, { numFiles: 1, numRecords: 10 })
  t.match((await server.get(`/tables/${id}/snapshot?version=1`)).body.statistics, {
    numFiles: count,
  })
  await stagesGone()
})

t.test('a fault names its line, and nothing is left', async (t) => {
  const id = await server.makeTable()
  const good = manyAdds('a').map((action) => JSON.stringify(action))
  const cases = [
    {
      line: '{"add":{"path":7}}',
      status: 400,
      tells: { errors: [{ line: 9001, pointer: '/actions/9000/add' }] },
    },
    { line: '{"add":', status: 400, tells: { code: 'invalid-json', line: 9001 } },
    { line: '{"proposal":{}}', status: 400, tells: { errors: [{ line: 9001 }] } },
    {
      line: '{"add":{"path":"x\ud800"}}'.replace('\ud800', '\\ud800'),
      status: 400,
      tells: { errors: [{ line: 9001 }] },
    },
    {
      line: JSON.stringify(add('a/5')),
      status: 422,
      tells: { violations: [{ code: 'duplicate-add', index: 9000, path: 'a/5' }] },
    },
    {
      line: JSON.stringify(add('', { size: -1 })),
      status: 422,
      tells: { numViolations: 2, violations: [{ code: 'path-empty', index: 9000 }] },
    },
  ]
  for (const { line, status, tells } of cases) {
    const answer = await send(id, good.toSpliced(9000, 0, line).join('\n'))
    t.match(answer, { status, body: tells }, answer.text.slice(0, 300))
    await stagesGone()
  }
  t.match((await server.get(`/tables/${id}`)).body, { version: 0 })
  const unknown = await send('no.such.table', good.join('\n'))
  t.match(unknown, { status: 404, body: { code: 'table-not-found' } })
})

t.test('a client that goes away in the middle leaves nothing', async (t) => {
  const id = await server.makeTable()
  const { port, hostname } = new URL(server.address)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const body = `${lines(manyAdds('a'))}\n`
  socket.write(
    `POST /tables/${id}/commits HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: ${body.length * 2}\r\n\r\n${body}`,
  )
  while ((await stages()) === 0);
  socket.destroy()
  await stagesGone()
  t.match((await server.get(`/tables/${id}`)).body, { version: 0 })
})

t.test('a repetition is answered as the first time', async (t) => {
  const id = await server.makeTable()
  const body = lines(manyAdds('a'))
  const key = { 'idempotency-key': 'large' }
  const twins = await Promise.all([send(id, body, key), send(id, body, key)])
  const statuses = twins.map(({ status }) => status).sort()
  t.ok(['201,201', '201,409'].includes(statuses.join()), statuses.join())
  const again = await send(id, body, key)
  t.match(again, { status: 201, body: { version: 1 } })
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  const other = await send(id, `${body}\n`, key)
  t.match(other, { status: 422, body: { code: 'idempotency-key-reused' } })
  const pair = { proposal: { idempotency: { appId: 'loader', version: 4 } } }
  const files = lines([pair, ...manyAdds('b')])
  t.match(await send(id, files), { status: 201, body: { version: 2, status: 'committed' } })
  t.match(await send(id, files), { status: 200, body: { version: 2, status: 'duplicate' } })
  t.match((await server.get(`/tables/${id}`)).body, { version: 2 })
})

t.test('what came since is judged for conflicts', async (t) => {
  const id = await server.makeTable()
  await send(id, lines(manyAdds('a')))
  await server.commit(id, { actions: [remove('a/7'), add('c')] })
  const removes = lines(Array.from({ length: count }, (_, index) => remove(`a/${index}`)))
  const at = (query: string) =>
    server.call('POST', `/tables/${id}/commits?${query}`, { raw: removes, headers: ndjson })
  t.match(await at('readVersion=1'), {
    status: 409,
    body: { code: 'concurrent-delete-delete', currentVersion: 2, winner: { version: 2 } },
  })
  t.match(await at('expectedVersion=2'), {
    status: 409,
    body: { code: 'version-conflict', actual: 3 },
  })
  const adds = await server.call('POST', `/tables/${id}/commits?readVersion=1`, {
    raw: lines(manyAdds('b')),
    headers: ndjson,
  })
  t.match(adds, { status: 201, body: { version: 3, readVersion: 1, rebasedOver: [2] } })
  const check = await server.call('POST', `/tables/${id}/commits/check?readVersion=1`, {
    raw: removes,
    headers: ndjson,
  })
  t.match(check.body, { status: 409, answer: { code: 'concurrent-delete-delete' } })
  await stagesGone()
})

t.test('files are judged by the metadata that the table has when it is locked', async (t) => {
  const id = await server.makeTable()
  const { metadata } = (await server.get(`/tables/${id}`)).body
  const schema = {
    type: 'struct',
    fields: ['id', 'day'].map((name) => ({ name, type: 'string', nullable: true, metadata: {} })),
  }
  const metaData = { ...metadata, schemaString: JSON.stringify(schema), partitionColumns: ['day'] }
  const files = manyAdds('a').map((action) => ({
    add: { ...action.add, partitionValues: { day: '1' } },
  }))
  const late = await send(id, lines([...files, { metaData }]))
  t.match(late, { status: 201, body: { numAddedFiles: count } }, late.text.slice(0, 300))
  const without = await send(id, lines(manyAdds('b')))
  t.match(without, {
    status: 422,
    body: { numViolations: count, violations: [{ code: 'partition-columns-mismatch', index: 0 }] },
  })
  t.equal(without.body.violations.length, 1000)
})

t.test('a commit to another table does not wait for a large one', async (t) => {
  const [large, small] = [await server.makeTable(), await server.makeTable()]
  const holder = await server.pool.connect()
  await holder.query('begin')
  await holder.query('select from tables where id = $1 for update', [large])
  const pending = send(large, lines(manyAdds('a')))
  while ((await stages()) === 0);
  for (let number = 0; number < 5; number += 1) {
    const answer = await server.commit(small, { actions: [add(`f${number}`)] })
    t.match(answer, { status: 201, body: { version: number + 1 } })
  }
  await holder.query('rollback')
  holder.release()
  t.match(await pending, { status: 201, body: { version: 1 } })
})

t.test('what a killed server leaves is swept up once no commit can be as old', async (t) => {
  const young = `stage_${Date.now()}_0`
  await sql`create table stage_1_a (); create table stage_2_b (); create table ${sql.id(young)} ();`.execute(
    server.db,
  )
  const { sweep } = abandonedStages(server.db, server.config)
  t.equal(await sweep(), 2)
  t.equal(await sweep(), 0)
  t.equal(await stages(), 1)
  await sql`drop table ${sql.id(young)}`.execute(server.db)
})
