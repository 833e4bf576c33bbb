import t from 'tap'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { get, post } = server
const put = (path: string, json: unknown) => server.call('PUT', path, { json })
const lines = async (path: string) => {
  const { text } = await get(path, { accept: 'application/x-ndjson' })
  return text.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line)))
}

t.test('a run is begun once, and resumed as it is', async (t) => {
  const asked = { runId: 'nightly_1:a+b@c=d~e', label: 'nightly', commitSequence: 5 }
  const first = await post('/runs', { ...asked, metadata: { source: 'a' } })
  t.match(first, { status: 201, body: { ...asked, status: 'running', metadata: { source: 'a' } } })
  t.match(first.headers.get('consistency-token'), /^\w+\/\w+$/)
  t.equal(first.headers.get('location'), '/runs/nightly_1%3Aa%2Bb%40c%3Dd~e')
  const found = await get(first.headers.get('location') ?? '')
  t.equal(found.text, first.text)
  await post('/runs/nightly_1:a+b@c=d~e/next')
  const again = await post('/runs', { runId: asked.runId, label: 'other', commitSequence: 0 })
  t.equal(again.status, 200)
  t.strictSame(again.body, { ...first.body, commitSequence: 6 })
})

t.test('a run without an id gets one, and a repeated request the same', async (t) => {
  const key = { 'idempotency-key': 'begin' }
  const first = await post('/runs', {}, key)
  t.match(first, { status: 201, body: { runId: /^[0-9a-f-]{36}$/, commitSequence: 0 } })
  const again = await post('/runs', {}, key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.equal(again.text, first.text)
  t.not((await post('/runs', {})).body.runId, first.body.runId)
})

t.test('a number is given out once, but for its repetition', async (t) => {
  await post('/runs', { runId: 'numbers' })
  const key = { 'idempotency-key': 'step 1' }
  const first = await post('/runs/numbers/next', undefined, key)
  t.match(first.status, 200)
  t.strictSame(first.body, { idempotency: { appId: 'numbers', version: 0 }, commitSequence: 1 })
  t.strictSame((await post('/runs/numbers/next')).body.idempotency.version, 1)
  const again = await post('/runs/numbers/next', undefined, key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.equal(again.text, first.text)
  t.equal((await get('/runs/numbers')).body.commitSequence, 2)
})

t.test('a run goes on from a checkpoint, further on or back', async (t) => {
  await post('/runs', { runId: 'moved' })
  t.match(await put('/runs/moved/sequence', { commitSequence: 7 }), {
    status: 200,
    body: { runId: 'moved', commitSequence: 7, status: 'running' },
  })
  t.equal((await post('/runs/moved/next')).body.idempotency.version, 7)
  await put('/runs/moved/sequence', { commitSequence: 3 })
  t.equal((await post('/runs/moved/next')).body.idempotency.version, 3)
  const gaps = (await get('/runs/moved/gaps')).body.items
  t.match(gaps, [{ commitSequence: 3, givenAt: /Z$/ }, { commitSequence: 7 }])
  t.equal(gaps.length, 2)
})

t.test('numbers stay exact beyond those that a double holds', async (t) => {
  await post('/runs', { runId: 'far', commitSequence: 2 ** 53 - 1 })
  await post('/runs/far/next')
  const { text } = await post('/runs/far/next')
  t.match(text, '"version":9007199254740992}')
  t.match(text, '"commitSequence":9007199254740993}')
  const { body } = await get('/runs/far/gaps?limit=1')
  const next = await get(`/runs/far/gaps?limit=1&cursor=${body.nextCursor}`)
  t.match(next.text, '"commitSequence":9007199254740992,')
  t.equal((await lines('/runs/far/gaps')).length, 2)
})

t.test('a finished run gives out no more numbers and stays as it is', async (t) => {
  await post('/runs', { runId: 'ended', metadata: { a: 1, b: 2 } })
  const end = { status: 'failed', metadata: { b: 3, c: 4 } }
  const finished = await post('/runs/ended/finish', end)
  t.match(finished, { status: 200, body: { status: 'failed', finishedAt: /Z$/ } })
  t.strictSame(finished.body.metadata, { a: 1, b: 3, c: 4 })
  t.equal((await post('/runs/ended/finish', end)).text, finished.text)
  const refusals = [
    await post('/runs/ended/next'),
    await put('/runs/ended/sequence', { commitSequence: 0 }),
    await post('/runs/ended/finish', { status: 'succeeded' }),
  ]
  for (const refusal of refusals) {
    const { finishedAt } = finished.body
    const facts = { runId: 'ended', runStatus: 'failed', finishedAt }
    t.match(refusal, { status: 409, body: { code: 'run-finished', status: 409, ...facts } })
  }
  const resumed = await post('/runs', { runId: 'ended' })
  t.equal(resumed.status, 200)
  t.equal(resumed.text, finished.text)
})

t.test('metadata is kept token for token', async (t) => {
  const headers = { 'content-type': 'application/json' }
  const send = (path: string, raw: string) => server.call('POST', path, { raw, headers })
  await send(
    '/runs',
    '{"runId": "exact", "metadata": {"id": 90071992547409931, "one": 1.0, "nul": "\\u0000"}}',
  )
  await send(
    '/runs/exact/finish',
    '{"status": "succeeded", "metadata": {"one": 1e0, "rows": 2.50}}',
  )
  const { text } = await get('/runs/exact')
  t.match(text, '{"id":90071992547409931,"one":1e0,"nul":"\\u0000","rows":2.50}')
})

t.test('runs are listed newest first, by status and label, page by page or whole', async (t) => {
  const ids = ['listed-1', 'listed-2', 'listed-3']
  for (const runId of ids) await post('/runs', { runId, label: 'lists' })
  await post('/runs/listed-2/finish', { status: 'succeeded' })
  const list = async (query: string) =>
    (await lines(`/runs?${query}`)).map(({ runId }: { runId: string }) => runId)
  t.strictSame(await list('label=lists'), ids.toReversed())
  t.strictSame(await list('label=lists&status=running'), ['listed-3', 'listed-1'])
  t.strictSame(await list('label=lists&status=succeeded'), ['listed-2'])
  t.strictSame((await list('')).slice(0, 3), ids.toReversed())
  const first = await get('/runs?label=lists&limit=2')
  t.equal(first.body.items.length, 2)
  const { nextCursor } = first.body
  const second = await get(`/runs?label=lists&limit=2&cursor=${nextCursor}`)
  t.match(second.body.items, [{ runId: 'listed-1' }])
  t.equal(second.body.nextCursor, undefined)
  t.match(await get(`/runs?limit=2&cursor=${nextCursor}`), {
    status: 400,
    body: { code: 'invalid-cursor' },
  })
})

t.test('a run that is not there is not found', async (t) => {
  const answers = [
    await get('/runs/none'),
    await get('/runs/none/attempts'),
    await get('/runs/none/gaps'),
    await post('/runs/none/next'),
    await post('/runs/none/finish', { status: 'failed' }),
    await put('/runs/none/sequence', { commitSequence: 1 }),
  ]
  for (const answer of answers) {
    t.match(answer, { status: 404, body: { code: 'run-not-found' } })
  }
})

t.test('what is not asked for like this is refused with every fault', async (t) => {
  const deep = `${'['.repeat(101)}${']'.repeat(101)}`
  const raw = `{"metadata": {"deep": ${deep}}}`
  const headers = { 'content-type': 'application/json' }
  const answers = [
    await post('/runs', { runId: 'a/b', label: 'x'.repeat(256), commitSequence: -1, more: 1 }),
    await post('/runs', { runId: '.' }),
    await post('/runs', { label: 'a\0b' }),
    await server.call('POST', '/runs', { raw, headers }),
    await put('/runs/numbers/sequence', {}),
    await put('/runs/numbers/sequence', { commitSequence: 2 ** 53 }),
    await post('/runs/numbers/finish', { status: 'running' }),
    await post('/runs/numbers/next', { count: 2 }),
    await get('/runs?status=over'),
    await get('/runs/numbers/attempts?outcome=lost'),
  ]
  for (const answer of answers) t.match(answer, { status: 400, body: { code: 'invalid-request' } })
  t.equal(answers[0]?.body.errors.length, 4)
  t.match(await post('/runs', { metadata: { text: 'x'.repeat(20_000) } }), {
    status: 413,
    body: { code: 'body-too-large' },
  })
})
