import t from 'tap'
import { add } from '../support/api.ts'
import { grant, release } from '../support/locks.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { heldActionsMax: 4 }, { mirror: false })
const { db, get, post, call } = server

const lock = 'größe "1"/writer'
const versionOf = async (table: string) => (await get(`/tables/${table}`)).body.version
const json = (fences: object) => encodeURIComponent(JSON.stringify(fences))
const entry = '/state/guarded/entries/k'

/** A write of each kind that takes fences, and whether it has taken effect. */
function writesTo(table: string) {
  const write = (body: object) => ({
    tables: [{ table, actions: [add(Math.random().toString())] }],
    ...body,
  })
  const stage = async (begin: object, commit: object | undefined) => {
    const { body } = await post('/transactions', write(begin))
    return post(`/transactions/${body.id}/commit`, commit)
  }
  const operation = { put: { key: 'k', value: 1 } }
  const lines = (fields: object, count: number) => {
    const actions = Array.from({ length: count }, () => add(Math.random().toString()))
    const all = [{ proposal: fields }, ...actions]
    const headers = { 'content-type': 'application/x-ndjson' }
    const raw = all.map((line) => JSON.stringify(line)).join('\n')
    return call('POST', `/tables/${table}/commits`, { raw, headers })
  }
  return {
    'a commit': (fences: object) =>
      server.commit(table, { fences, actions: [add(Math.random().toString())] }),
    'a commit in lines': (fences: object) => lines({ fences }, 1),
    'a large commit': (fences: object) => lines({ fences }, 9),
    'a transaction': (fences: object) => post('/transactions', write({ commit: true, fences })),
    'a table of a transaction': (fences: object) =>
      post('/transactions', {
        commit: true,
        tables: [{ table, fences, actions: [add(Math.random().toString())] }],
      }),
    'a table that is made': (fences: object) => {
      const create = {
        name: `made_${Math.random().toString(36).slice(2)}`,
        schema: { type: 'struct', fields: [] },
      }
      return post('/transactions', { commit: true, tables: [{ create, fences }] })
    },
    'a staged transaction': (fences: object) => stage({ fences }, undefined),
    'fences that come with the commit': (fences: object) => stage({}, { fences }),
    'a staged table': (fences: object) =>
      stage({ tables: [{ table, fences, actions: [add(Math.random().toString())] }] }, {}),
    'a batch': (fences: object) =>
      post('/state/guarded/batch', { operations: [operation], fences }),
    'a batch of single operations': (fences: object) =>
      post('/state/guarded/batch', { operations: [operation], atomic: false, fences }),
    'a txn': (fences: object) =>
      // biome-ignore lint/suspicious/noThenProperty: the contract names it so
      post('/state/guarded/txn', { compare: [], then: [operation], fences }),
    'a put': (fences: object) => call('PUT', entry, { json: { value: 1, fences } }),
    'a put of bytes': (fences: object) =>
      call('PUT', `${entry}?fences=${json(fences)}`, {
        raw: 'x',
        headers: { 'content-type': 'text/plain' },
      }),
    'a delete': (fences: object) => call('DELETE', `${entry}?fences=${json(fences)}`),
  }
}

t.test('every guarded write is refused to who does not hold the lock', async (t) => {
  const table = await server.makeTable()
  const before = await grant(db, { name: lock, holder: 'a' })
  const token = await grant(db, { name: lock, holder: 'b' })
  const revision = async () => (await get('/state/guarded')).body.revision
  await call('PUT', entry, { json: { value: 0 } })
  for (const [name, write] of Object.entries(writesTo(table))) {
    const was = [await versionOf(table), await revision()]
    const stale = await write([{ lock, token: before }])
    const facts = { code: 'stale-fence', lock, token: before, currentToken: token }
    t.match(stale.body, { status: 409, ...facts }, name)
    t.strictSame([await versionOf(table), await revision()], was, name)
    const good = await write([{ lock, token }])
    t.ok(good.status === 200 || good.status === 201, `${name}: ${good.text}`)
    t.match(
      (
        await write([
          { lock, token },
          { lock: 'nowhere', token: 1 },
        ])
      ).body,
      { code: 'stale-fence', lock: 'nowhere', currentToken: null },
      name,
    )
  }
})

t.test('a lease that has run out, or was given back, is not in force', async (t) => {
  const table = await server.makeTable()
  const write = (name: string, token: number) =>
    server.commit(table, { fences: [{ lock: name, token }], actions: [add(`${name}${token}`)] })
  const late = await grant(db, { name: 'late', ttlMs: -1 })
  t.match((await write('late', late)).body, { code: 'stale-fence', currentToken: null })
  const back = await grant(db, { name: 'back' })
  t.equal((await write('back', back)).status, 201)
  await release(db, 'back')
  t.match((await write('back', back)).body, { code: 'stale-fence', currentToken: null })
})

t.test('those who share a lock each have a token, and elections have theirs', async (t) => {
  const table = await server.makeTable()
  const write = (fence: object) =>
    server.commit(table, { fences: [fence], actions: [add(Math.random().toString())] })
  const name = 'shared'
  const tokens = [
    await grant(db, { name, mode: 'shared', holder: 'a' }),
    await grant(db, { name, mode: 'shared', holder: 'b' }),
  ]
  for (const token of tokens) t.equal((await write({ lock: name, token })).status, 201)
  const leader = await grant(db, { kind: 'election', name })
  t.equal((await write({ election: name, token: leader })).status, 201)
  t.match((await write({ election: name, token: leader + 1 })).body, {
    code: 'stale-fence',
    election: name,
    currentToken: leader,
  })
})

t.test('a repetition is answered as the first time, whatever the fence says now', async (t) => {
  const table = await server.makeTable()
  const token = await grant(db, { name: 'once' })
  const fences = [{ lock: 'once', token }]
  const idempotency = { appId: 'loader', version: 1 }
  const proposal = { fences, idempotency, actions: [add('a')] }
  const key = { 'idempotency-key': 'guarded-once' }
  const first = await server.commit(table, proposal, key)
  t.equal(first.status, 201)
  const staged = await post('/transactions', { fences, tables: [{ table, actions: [add('b')] }] })
  const commit = () => post(`/transactions/${staged.body.id}/commit`)
  const committed = await commit()
  t.equal(committed.status, 200)
  await grant(db, { name: 'once', holder: 'b' })
  const again = await server.commit(table, proposal, key)
  t.strictSame([again.status, again.text], [first.status, first.text])
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.match(await server.commit(table, proposal), {
    status: 200,
    body: { status: 'duplicate', version: 1 },
  })
  t.equal((await commit()).text, committed.text)
  const next = { ...proposal, idempotency: { appId: 'loader', version: 2 } }
  t.match((await server.commit(table, next)).body, { code: 'stale-fence' })
})

t.test(
  'a refused transaction is active still, and may be committed by another holder',
  async (t) => {
    const table = await server.makeTable()
    const token = await grant(db, { name: 'passed on' })
    const { body } = await post('/transactions', { tables: [{ table, actions: [add('a')] }] })
    const commit = (token: number) =>
      post(`/transactions/${body.id}/commit`, { fences: [{ lock: 'passed on', token }] })
    const next = await grant(db, { name: 'passed on', holder: 'b' })
    t.match((await commit(token)).body, { code: 'stale-fence', currentToken: next })
    t.match((await get(`/transactions/${body.id}`)).body, { state: 'active' })
    t.equal((await commit(next)).status, 200)
  },
)

t.test('a check tells of the fence and writes nothing', async (t) => {
  const table = await server.makeTable()
  const token = await grant(db, { name: 'checked' })
  const check = (token: number) =>
    post(`/tables/${table}/commits/check`, {
      fences: [{ lock: 'checked', token }],
      actions: [add('a')],
    })
  t.match((await check(token)).body, { status: 201 })
  t.match((await check(token - 1)).body, {
    status: 409,
    answer: { code: 'stale-fence', currentToken: token },
  })
  t.equal(await versionOf(table), 0)
})

t.test('fences of the wrong shape are refused with their place', async (t) => {
  const table = await server.makeTable()
  const faults: [object, string][] = [
    [[{ lock: 'l' }], '/0'],
    [[{ token: 1 }], '/0'],
    [[{ lock: 'l', election: 'l', token: 1 }], '/0'],
    [[{ lock: '', token: 1 }], '/0/lock'],
    [[{ lock: 'l', token: 1.5 }], '/0/token'],
    [[{ lock: 'l', token: '1' }], '/0/token'],
    [[{ lock: 'l', token: 2 ** 53 }], '/0/token'],
    [Array.from({ length: 101 }, (_, token) => ({ lock: 'l', token })), ''],
    [{}, ''],
  ]
  for (const [fences, place] of faults) {
    const of = (prefix: string) => ({
      code: 'invalid-request',
      errors: [{ pointer: prefix + place }],
    })
    const text = JSON.stringify(fences).slice(0, 80)
    const { body } = await server.commit(table, { fences, actions: [] })
    t.match(body, of('/fences'), text)
    t.match((await call('PUT', entry, { json: { value: 1, fences } })).body, of('/fences'), text)
    t.match(
      (await call('DELETE', `${entry}?fences=${json(fences)}`)).body,
      of('/query/fences'),
      text,
    )
    const begun = (await post('/transactions', {})).body
    const committed = await post(`/transactions/${begun.id}/commit`, { fences })
    t.match(committed.body, of('/fences'), text)
  }
  t.match((await call('DELETE', `${entry}?fences=x1`)).body, { code: 'invalid-json' })
  t.match((await call('PUT', `${entry}?fences=[]`, { json: { value: 1 } })).body, {
    errors: [{ pointer: '/query/fences' }],
  })
})
