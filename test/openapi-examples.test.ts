import { readFile } from 'node:fs/promises'
import t from 'tap'
import { type ExampleParameter, exampleAddress } from './support/examples.ts'
import { startTestServer, type TestServer } from './support/server.ts'

interface Operation {
  operationId: string
  parameters?: ExampleParameter[]
  requestBody?: { content: Record<string, { example?: unknown }> }
}

type Paths = Record<string, Record<string, Operation>>

const document = JSON.parse(
  await readFile(new URL('../openapi/openapi.json', import.meta.url), 'utf8'),
)

const operations = Object.entries(document.paths as Paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

/** The requests that stand in the page: one for each body that an operation takes. */
const requests = operations.flatMap(({ path, method, operation }) => {
  const filled = exampleAddress(path, operation.parameters)
  const bodies = Object.entries(operation.requestBody?.content ?? { '': {} })
  return bodies.map(([type, { example }]) => ({ method, path: filled, type, example, operation }))
})

/**
 * What takes an id that nobody knows beforehand, or a table that others have written; the name of a dropped table is
 * free, so it has to be the id.
 */
const byGivenId = ['undropTable', 'getMaintenanceOperation', 'getTransaction', 'importTable']

/** What is asked of a transaction that is begun for it, with something staged. */
const ofTransaction = (path: string) => /^\/transactions\/[^/]+\//.test(path)

async function beginTransaction(server: TestServer): Promise<string> {
  const { example } = requests.find(({ operation }) => operation.operationId === 'stageTable') ?? {}
  const tables = [{ table: 'sales.orders', ...(example as object) }]
  return (await server.post('/transactions', { tables })).body.id
}

/** The same of an interactive transaction, with the savepoint of the example. */
const ofStateTransaction = (path: string) => /^\/state\/transactions\/./.test(path)

async function beginStateTransaction(server: TestServer): Promise<string> {
  const { txId } = (await server.post('/state/transactions', {})).body
  await server.post(`/state/transactions/${txId}/savepoints`, { name: 'before-cleanup' })
  return txId
}

/** The address of a request, with a transaction that is begun for it, and how to end that. */
async function prepare(server: TestServer, path: string) {
  if (ofTransaction(path)) {
    const id = await beginTransaction(server)
    const own = path.replace(/(?<=^\/transactions\/)[^/]+/, id)
    // What it has reserved is for the others again.
    return { path: own, end: () => server.post(`/transactions/${id}/rollback`) }
  }
  if (ofStateTransaction(path)) {
    const id = await beginStateTransaction(server)
    const own = path.replace(/(?<=^\/state\/transactions\/)[^/]+/, id)
    return { path: own, end: () => server.post(`/state/transactions/${id}/rollback`) }
  }
  return { path, end: async () => {} }
}

const order = [
  'createTable',
  'createCommit',
  'putEntry',
  '',
  'deleteEntry',
  'dropTable',
  'undropTable',
]
const placeOf = ({ operation }: (typeof requests)[number]) =>
  order.indexOf(order.includes(operation.operationId) ? operation.operationId : '')

function send(server: TestServer, { method, path, type, example }: (typeof requests)[number]) {
  if (example === undefined) return server.call(method.toUpperCase(), path)
  const raw = typeof example === 'string' ? example : JSON.stringify(example)
  return server.call(method.toUpperCase(), path, { raw, headers: { 'content-type': type } })
}

t.test('every parameter that is required, and every body, has an example', async (t) => {
  for (const { operation } of operations) {
    for (const parameter of operation.parameters ?? []) {
      if (parameter.required) t.not(parameter.example, undefined, operation.operationId)
    }
    for (const { example } of Object.values(operation.requestBody?.content ?? {})) {
      t.not(example, undefined, operation.operationId)
    }
  }
})

t.test('the examples succeed word for word, one after the other', async (t) => {
  const server = await startTestServer(t)
  const asked = requests.filter(({ operation }) => !byGivenId.includes(operation.operationId))
  for (const request of asked.toSorted((a, b) => placeOf(a) - placeOf(b))) {
    const { path, end } = await prepare(server, request.path)
    const answer = await send(server, { ...request, path })
    t.match(
      String(answer.status),
      /^20/,
      `${request.operation.operationId} ${request.type}: ${answer.text}`,
    )
    await end()
  }
})
