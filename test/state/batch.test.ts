import t from 'tap'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { stateOperationsMax: 10 }, { mirror: false })
const { get, post } = server

const batch = (operations: object[], more: object = {}) =>
  post('/state/batch/batch', { operations, ...more })
const statuses = (results: { status: number }[]) => results.map(({ status }) => status)
const readValue = async (key: string) => (await get(`/state/batch/entries/${key}`)).body.value

t.test('a batch is done at one revision', async (t) => {
  const { status, body } = await batch([
    { put: { key: 'a', value: 1 } },
    { get: { key: 'a' } },
    { put: { key: 'b', valueBase64: 'AAE=', contentType: 'image/png' } },
    { delete: { key: 'none' } },
    { get: { key: 'none' } },
  ])
  t.equal(status, 200)
  t.strictSame(statuses(body.results), [201, 200, 201, 404, 404])
  t.equal(body.results[1].value, 1, 'a read sees what was written before it')
  t.equal(body.results[0].revision, body.revision)
  t.equal(body.results[2].revision, body.revision)
  const reading = await batch([{ get: { key: 'b' } }])
  t.equal(reading.body.revision, body.revision, 'a read has no revision of its own')
  t.match(reading.body.results[0], { valueBase64: 'AAE=', contentType: 'image/png' })
})

t.test('a refused operation refuses all, or itself alone', async (t) => {
  const operations = [
    { put: { key: 'c', value: 1 } },
    { put: { key: 'd', value: 1, expectedVersion: 9 } },
  ]
  const whole = await batch(operations)
  t.match(whole.body, { status: 412, code: 'version-mismatch', key: 'd', index: 1, actual: 0 })
  t.equal(await readValue('c'), undefined)
  const each = await batch(operations, { atomic: false })
  t.equal(each.status, 200)
  t.strictSame(statuses(each.body.results), [201, 412])
  t.match(each.body.results[1], { code: 'version-mismatch', expected: 9, actual: 0 })
  t.equal(await readValue('c'), 1)
})

t.test('comparisons decide what is done', async (t) => {
  const txn = (body: object) => post('/state/batch/txn', body)
  const elect = (value: string) => ({
    compare: [{ key: 'leader', target: 'exists', op: 'equal', value: false }],
    // biome-ignore lint/suspicious/noThenProperty: the contract names it so
    then: [{ put: { key: 'leader', value, metadata: { of: { rank: 3, name: 'b' } } } }],
    else: [{ get: { key: 'leader' } }],
  })
  t.match((await txn(elect('one'))).body, { succeeded: true, results: [{ status: 201 }] })
  t.match((await txn(elect('two'))).body, { succeeded: false, results: [{ value: 'one' }] })
  const holding = async (comparison: object) => {
    const { status, body } = await txn({ compare: [{ key: 'leader', ...comparison }] })
    t.equal(status, 200)
    return body.succeeded
  }
  const rank = { target: 'metadata', path: ['of', 'rank'] }
  t.equal(await holding({ target: 'version', op: 'equal', value: 1 }), true)
  t.equal(await holding({ target: 'version', op: 'greater', value: 1 }), false)
  t.equal(await holding({ target: 'value', op: 'less', value: 'p' }), true)
  t.equal(await holding({ target: 'value', op: 'greater', value: 5 }), false, 'no order')
  t.equal(await holding({ target: 'value', op: 'notEqual', value: 5 }), true)
  t.equal(await holding({ ...rank, op: 'greater', value: 2.5 }), true)
  t.equal(await holding({ ...rank, op: 'equal', value: 3.0 }), true)
  t.equal(
    await holding({ target: 'metadata', op: 'equal', value: { of: { name: 'b', rank: 3 } } }),
    true,
  )
  t.equal(await holding({ key: 'nobody', target: 'version', op: 'equal', value: 0 }), true)
  t.equal(await holding({ key: 'nobody', target: 'value', op: 'notEqual', value: 1 }), true)
})

t.test('bad input is refused with its place', async (t) => {
  const fault = async (path: string, body: object) => {
    const answer = await post(`/state/batch/${path}`, body)
    t.equal(answer.body.code, 'invalid-request', answer.text)
    return answer.body.errors[0].pointer
  }
  const put = (key: string) => ({ put: { key, value: 1 } })
  t.equal(await fault('batch', { operations: [put('a'), put('a')] }), '/operations/1')
  t.equal(await fault('batch', { operations: [{ put: { key: 'a' } }] }), '/operations/0/put')
  const notBase64 = { put: { key: 'a', valueBase64: 'A' } }
  t.equal(await fault('batch', { operations: [notBase64] }), '/operations/0/put/valueBase64')
  t.equal(await fault('batch', { operations: [] }), '/operations')
  const compare = [{ key: 'a', target: 'version', op: 'equal', value: 'x' }]
  t.equal(await fault('txn', { compare }), '/compare/0/value')
  const many = await batch(Array.from({ length: 11 }, (_, index) => put(`k${index}`)))
  t.equal(many.body.code, 'too-many-actions')
})

t.test('many writers at once each get a version and a revision of their own', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 200 }, () => batch([{ put: { key: 'hot', value: 1 } }])),
  )
  const told = answers.map(({ body }) => body.results[0])
  const versions = told.map(({ version }) => version).toSorted((a, b) => a - b)
  t.strictSame(
    versions,
    Array.from({ length: 200 }, (_, index) => index + 1),
  )
  t.equal(new Set(told.map(({ revision }) => revision)).size, 200)
  for (const { version, revision } of told) {
    t.equal(revision - version, told[0].revision - told[0].version, 'in the same order')
  }
})
