import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { beginning, writeForeignLog } from '../delta-log/foreign-log.ts'
import { startTestServer } from '../support/server.ts'
import { type Critic, createCritic } from './fuzz/complaints.ts'
import { type ApiDocument, idNameOf, type Operation, operationsOf } from './fuzz/document.ts'
import { requestsOf } from './fuzz/requests.ts'
import { type Seen, startSeeing } from './fuzz/seen.ts'
import { createSender } from './fuzz/sender.ts'

/** Requests of each operation in each of two rounds. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 6)
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31)
/** Tables that others have written, to be imported. */
const foreignTables = 20
/** What keeps others from tables, and what ends what was begun, while its tables are there. */
const endings = [
  'reserveTables',
  'unstageTable',
  'commitTransaction',
  'rollBackTransaction',
  'commitStateTransaction',
  'rollBackStateTransaction',
  'finishRun',
]
/** Transactions to be gone on with. */
const begunTransactions = 20
/** The same of interactive ones, of which a server has few. */
const openTransactions = 10

t.setTimeout(60_000 + numRuns * 3000)

const server = await startTestServer(t)
const document: ApiDocument = (await server.get('/openapi.json')).body
// What takes things away comes last, so that there is something to speak of before.
const operations = operationsOf(document).sort((a, b) => rank(a) - rank(b))
const send = createSender(t, server.address)
const seen = await lookAround()

function rank({ method, operationId }: Operation): number {
  const ranks = ['POST', 'PUT', 'GET', ...endings, 'DELETE']
  return ranks.indexOf(endings.includes(operationId) ? operationId : method)
}

/** Tables, commits and cursors for requests to speak of, made from the examples of the document. */
async function lookAround(): Promise<Seen> {
  const known = startSeeing()
  const id = await server.makeTable(exampleOf('createTable'))
  for (let version = 1; version <= 3; version += 1) {
    const { status, text } = await server.commit(id, exampleOf('createCommit'))
    if (status >= 300) throw new Error(`the example of a commit was refused: ${text}`)
  }
  const lists = ['/tables', `/tables/${id}/commits`, `/tables/${id}/files`]
  for (const address of [...lists.map((list) => `${list}?limit=1`), `/tables/${id}`]) {
    known.takeIn((await server.get(address)).body)
  }
  for (let number = 0; number < begunTransactions; number += 1) {
    const tables = [{ table: id, ...exampleOf('stageTable') }]
    known.takeIn((await server.post('/transactions', { tables })).body, 'transactionId')
  }
  const savepoint = exampleOf('setSavepoint')
  for (let number = 0; number < openTransactions; number += 1) {
    const { body } = await server.post('/state/transactions', {})
    await server.post(`/state/transactions/${body.txId}/savepoints`, savepoint)
    known.takeIn({ txId: body.txId, ...savepoint })
  }
  for (let number = 0; number < foreignTables; number += 1) {
    const location = join(server.dataDir, 'tables', `foreign-${number}`)
    await writeForeignLog(location, [beginning])
    known.takeIn({ location })
  }
  return known
}

function exampleOf(operationId: string): object {
  const operation = operations.find((one) => one.operationId === operationId)
  return operation?.requestBody?.content['application/json']?.example as object
}

/** Fuzzes one operation; answers what was found, with the request that shows it, or undefined. */
async function fuzz(
  operation: Operation,
  { criticise, ...parameters }: { criticise: Critic } & fc.Parameters<unknown>,
): Promise<string | undefined> {
  const result = await fc.check(
    fc.asyncProperty(requestsOf({ document, seen }, operation), async (made) => {
      const answer = await send(made)
      seen.takeIn(answer.body, idNameOf(operation))
      const complaints = criticise(operation, answer)
      if (complaints.length === 0) return
      const body = made.body?.toString('utf8').slice(0, 2000)
      const told = JSON.stringify({ ...made, body }, null, 1)
      throw new Error(`${complaints.join('; ')}\n${told}\n${answer.text.slice(0, 2000)}`)
    }),
    parameters,
  )
  if (!result.failed) return undefined
  const { message } = result.errorInstance as Error
  return `with FUZZ_SEED=${seed} ${message}`
}

t.test(`no request makes the service fail or surprise, seed ${seed}`, async (t) => {
  const statuses = new Map(operations.map(({ operationId }) => [operationId, new Set<number>()]))
  const critic = createCritic(document)
  const criticise: Critic = (operation, answer) => {
    statuses.get(operation.operationId)?.add(answer.status)
    return critic(operation, answer)
  }
  for (const round of [0, 1]) {
    for (const [index, operation] of operations.entries()) {
      const ownSeed = seed + operations.length * round + index
      const found = await fuzz(operation, { criticise, numRuns, seed: ownSeed })
      t.equal(found, undefined, operation.operationId)
      t.equal((await server.get('/health/live')).status, 200)
    }
  }
  for (const [id, met] of statuses) t.comment(`${id}: ${[...met].sort().join(' ')}`)
  const failures = server.logged.filter(({ level }) => Number(level) >= 50)
  t.strictSame(failures, [])
  // Fewer requests than these may leave one out by chance.
  if (numRuns < 60) return
  const got = (id: string) => [...(statuses.get(id) ?? [])].some((status) => status < 300)
  const never = operations.map(({ operationId }) => operationId).filter((id) => !got(id))
  t.strictSame(never, [], 'every operation has succeeded at least once')
})

t.test('after all that every table is whole', async (t) => {
  const lines = async (path: string): Promise<string[]> => {
    const { text } = await server.get(path, { accept: 'application/x-ndjson' })
    return text.split('\n').slice(0, -1)
  }
  const tables = [...(await lines('/tables')), ...(await lines('/tables?dropped=true'))]
  t.ok(tables.length > 1)
  for (const table of tables) {
    const { id, version, statistics } = JSON.parse(table)
    t.equal((await lines(`/tables/${id}/commits`)).length, version + 1)
    t.equal((await lines(`/tables/${id}/files`)).length, statistics.numFiles)
  }
})

/** A document that says less than the service does, the operation that shows it, and the complaint. */
interface Doctored {
  operationId: string
  complaint: string
  doctor: (copy: ApiDocument) => void
}

const doctored: Doctored[] = [
  {
    operationId: 'getTable',
    complaint: 'status 404 is not documented',
    doctor: ({ paths }) => delete paths['/tables/{id}']?.['get']?.responses['404'],
  },
  {
    operationId: 'listTables',
    complaint: 'type application/problem+json of status 400 is not documented',
    doctor: ({ paths }) => delete paths['/tables']?.['get']?.responses['400']?.content,
  },
  {
    operationId: 'listTables',
    complaint: 'the body does not fit its schema',
    doctor: ({ components }) =>
      Object.assign(components.schemas['Table']?.properties ?? {}, { version: { type: 'string' } }),
  },
]

for (const { operationId, complaint, doctor } of doctored) {
  t.test(`the check can complain that ${complaint}`, async (t) => {
    const copy = structuredClone(document)
    doctor(copy)
    const operation = operations.find((one) => one.operationId === operationId)
    const doctoredOne = operationsOf(copy).find((one) => one.operationId === operationId)
    if (operation === undefined || doctoredOne === undefined) throw new Error(`no ${operationId}`)
    const critic = createCritic(copy)
    const criticise: Critic = (_, answer) => critic(doctoredOne, answer)
    const found = await fuzz(operation, { criticise, numRuns: 1000, seed, endOnFailure: true })
    t.match(found, complaint)
  })
}
