import t from 'tap'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t)

t.test('a server without replicas satisfies every preference and token', async (t) => {
  const table = await server.makeTable()
  const { headers } = await server.commit(table, { actions: [] })
  const tokens = [headers.get('consistency-token') ?? '', '0/0', 'FFFFFFFF/FFFFFFFF']
  const preferences = ['primary', 'replica', 'replica; max-lag-ms=0', 'replica;max-lag-ms=5000']
  for (const preference of preferences) {
    for (const token of tokens) {
      const asked = { 'read-preference': preference, 'consistency-token': token }
      const { status, body } = await server.get(`/tables/${table}`, asked)
      t.match({ status, body }, { status: 200, body: { version: 1 } }, `${preference} ${token}`)
    }
  }
})

for (const [name, values] of Object.entries({
  'read-preference': ['', 'secondary', 'primary; max-lag-ms=1', 'replica; max-lag-ms=-1'],
  'consistency-token': ['', 'two words', '16B3748', '0/', '0/16b3748', '0/123456789', '0/1, 0/2'],
})) {
  for (const value of values) {
    t.test(`a read with the ${name} ${JSON.stringify(value)} is refused by name`, async (t) => {
      const { status, body } = await server.get('/tables', { [name]: value })
      t.match({ status, body }, { status: 400, body: { code: 'invalid-request', detail: name } })
      t.match(body.errors, [{ pointer: `/headers/${name}`, message: 'must be' }])
    })
  }
}

t.test('writes pass these headers over', async (t) => {
  const definition = { name: 'written', schema: { type: 'struct', fields: [] } }
  const { status } = await server.post('/tables', definition, { 'read-preference': 'nowhere' })
  t.equal(status, 201)
})
