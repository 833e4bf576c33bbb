import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startTracing } from '../../src/tracing/start-tracing.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

/** A span as OTLP has it, as far as it is looked at. */
interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { stringValue?: string; intValue?: number } }[]
  links?: { traceId: string }[]
}

/** Takes spans as a collector does. */
async function startCollector(t: Test): Promise<{ endpoint: string; spans: Span[] }> {
  const spans: Span[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString())
    for (const { scopeSpans } of resourceSpans) {
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans }
}

async function startTraced(t: Test, share: number) {
  const { endpoint, spans } = await startCollector(t)
  const stop = startTracing({ endpoint, share })
  t.teardown(stop)
  const server = await startTestServer(t, {
    otelExporterOtlpEndpoint: endpoint,
    otelTracesSamplerArg: share,
  })
  return { server, spans, stop }
}

const caller = { traceparent: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` }
const stages = ['receive', 'wait for the batch', 'lock and read', 'judge', 'write and commit']

t.test(
  'a transaction in one request tells each of its stages in the trace of its caller',
  async (t) => {
    const { server, spans, stop } = await startTraced(t, 0)
    const table = await server.makeTable()
    const tables = [{ table, actions: [add('a')] }]
    const done = await server.post('/transactions', { commit: true, tables }, caller)
    t.equal(done.status, 201, done.text)
    await stop()
    t.strictSame([...new Set(spans.map(({ traceId }) => traceId))], ['ab'.repeat(16)])
    const request = spans.find(({ name }) => name === 'POST /transactions')
    t.equal(request?.parentSpanId, 'cd'.repeat(8))
    t.strictSame(textsOf(request), {
      'http.request.method': 'POST',
      'http.route': '/transactions',
      'deltaworks.request': done.headers.get('x-request-id'),
      'deltaworks.transaction': done.body.id,
    })
    const below = spans.filter(({ parentSpanId }) => parentSpanId === request?.spanId)
    t.strictSame(
      below.sort(byStart).map(({ name }) => name),
      stages,
    )
    t.ok(below.every((span) => BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)))
  },
)

t.test('what is asked of a staged transaction lies in one trace, which has its id', async (t) => {
  const { server, spans, stop } = await startTraced(t, 1)
  const table = await server.makeTable()
  const { id } = (await server.post('/transactions', {})).body
  const traceId = id.replaceAll('-', '')
  const staged = await server.call('PUT', `/transactions/${id}/tables/${table}`, {
    json: { actions: [add('a')] },
  })
  t.equal(staged.status, 200, staged.text)
  t.equal((await server.post(`/transactions/${id}/commit`)).status, 200)
  await stop()
  const own = spans.filter((span) => span.traceId === traceId)
  t.strictSame(
    own.filter(({ name }) => /^[A-Z]/.test(name)).map(({ name }) => name),
    ['PUT /transactions/:id/tables/:tableId', 'POST /transactions/:id/commit'],
  )
  const names = own.map(({ name }) => name)
  t.ok(stages.slice(1).every((stage) => names.includes(stage)))
  t.ok(names.includes('receive what is staged'))
  const begun = spans.find(({ name }) => name === 'POST /transactions')
  t.strictSame(
    begun?.links?.map((link) => link.traceId),
    [traceId],
  )
})

t.test(
  'of a share of nothing only what callers trace is told, and logged with its trace',
  async (t) => {
    const { server, spans, stop } = await startTraced(t, 0)
    const { id } = (await server.post('/transactions', {})).body
    await server.get(`/transactions/${id}`)
    await server.get(`/transactions/${id}`, caller)
    await stop()
    t.strictSame(
      spans.map(({ name, traceId }) => [name, traceId]),
      [['GET /transactions/:id', 'ab'.repeat(16)]],
    )
    const lines = server.logged.filter(({ route }) => String(route).startsWith('/transactions'))
    t.match(lines, [
      { route: '/transactions', transaction: id },
      { route: '/transactions/:id', transaction: id },
      { route: '/transactions/:id', transaction: id, trace: 'ab'.repeat(16) },
    ])
  },
)

t.test('a collector that is away holds up nobody', async (t) => {
  const endpoint = 'http://127.0.0.1:9'
  const stop = startTracing({ endpoint, share: 1 })
  const server = await startTestServer(t, { otelExporterOtlpEndpoint: endpoint })
  const table = await server.makeTable()
  t.equal((await server.commit(table, { actions: [add('a')] })).status, 201)
  await stop()
})

function byStart(one: Span, other: Span): number {
  return Number(BigInt(one.startTimeUnixNano) - BigInt(other.startTimeUnixNano))
}

function textsOf(span: Span | undefined): Record<string, string | undefined> {
  const told = span?.attributes.filter(({ value }) => value.stringValue !== undefined) ?? []
  return Object.fromEntries(told.map(({ key, value }) => [key, value.stringValue]))
}
