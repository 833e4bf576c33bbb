import t from 'tap'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const one = await startTestServer(t, {}, { mirror: false })
const two = await startTestServer(t, {}, { beside: one, mirror: false })
const clients = Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? one : two))

/** All items of a list. */
async function listAll(path: string) {
  const { text } = await one.get(path, { accept: 'application/x-ndjson' })
  return text.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line)))
}

t.test('a run is made by one of many that begin it at once', async (t) => {
  const answers = await Promise.all(clients.map((api) => api.post('/runs', { runId: 'begun' })))
  t.equal(answers.filter(({ status }) => status === 201).length, 1)
  t.equal(answers.filter(({ status }) => status === 200).length, clients.length - 1)
  t.equal(new Set(answers.map(({ text }) => text)).size, 1)
})

t.test('each number goes to one of many who ask at once, on both servers', async (t) => {
  await one.post('/runs', { runId: 'asked' })
  const taken = await Promise.all(
    clients.map(async (api) => {
      const own: number[] = []
      for (let count = 0; count < 10; count += 1) {
        const { body } = await api.post('/runs/asked/next')
        t.equal(body.commitSequence, body.idempotency.version + 1)
        own.push(body.idempotency.version)
      }
      return own
    }),
  )
  const numbers = taken.flat().toSorted((a, b) => a - b)
  t.strictSame(
    numbers,
    Array.from(numbers, (_, at) => at),
  )
  t.equal(numbers.length, clients.length * 10)
})

t.test('what many writers did is told by attempts and gaps as by the log', async (t) => {
  await one.post('/runs', { runId: 'written' })
  const tables = [await one.makeTable(), await one.makeTable()]
  const answers = await Promise.all(
    clients.map(async (api, client) => {
      const own: string[] = []
      for (let count = 0; count < 5; count += 1) {
        const { idempotency } = (await api.post('/runs/written/next')).body
        const table = tables[(client + count) % 2] ?? ''
        const { body } = await api.commit(table, {
          idempotency,
          actions: [add(`${client}-${count}`)],
        })
        own.push(`${table}/${body.version} ${idempotency.version} ${body.status}`)
      }
      return own
    }),
  )
  const attempts = await listAll('/runs/written/attempts')
  const told = attempts.map(
    ({ tableId, version, commitSequence, outcome }) =>
      `${tableId}/${version} ${commitSequence} ${outcome}`,
  )
  t.strictSame(told.toSorted(), answers.flat().toSorted())
  const inLog = new Set<number>()
  for (const table of tables) {
    const { version } = (await one.get(`/tables/${table}`)).body
    for (let at = 1; at <= version; at += 1) {
      const [, line] =
        /"txn":(\{[^}]*\})/.exec((await one.get(`/tables/${table}/commits/${at}`)).text) ?? []
      inLog.add(JSON.parse(line ?? '{}').version)
    }
  }
  const numbers = Array.from({ length: clients.length * 5 }, (_, at) => at)
  const gaps = await listAll('/runs/written/gaps')
  t.strictSame(
    gaps.map(({ commitSequence }) => commitSequence),
    numbers.filter((number) => !inLog.has(number)),
  )
})
