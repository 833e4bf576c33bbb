import t from 'tap'
import { linearize, type Operation } from '../histories/linearizability.ts'
import {
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from '../histories/register-model.ts'
import type { TestAnswer } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const clients = 16
const operationsEach = 60
const keys = ['a', 'b', 'c']

interface KeyedInput {
  key: string
  input: RegisterInput
}

type Recorded = Operation<KeyedInput, RegisterOutput | undefined>

function draw(client: number, count: number): RegisterInput {
  const value = `${client}.${count}`
  const expectedVersion = Math.floor(Math.random() * 200)
  switch (Math.floor(Math.random() * 8)) {
    case 0:
      return { kind: 'delete' }
    case 1:
      return { kind: 'put', value, expectedVersion }
    case 2:
    case 3:
    case 4:
      return { kind: 'get' }
    default:
      return { kind: 'put', value }
  }
}

function send(server: TestServer, { key, input }: KeyedInput): Promise<TestAnswer> {
  const path = `/state/linear/entries/${key}`
  if (input.kind === 'get') return server.get(path)
  if (input.kind === 'delete') return server.call('DELETE', path)
  const { kind: _kind, ...json } = input
  return server.call('PUT', path, { json })
}

function outputOf({ kind }: RegisterInput, { status, body }: TestAnswer): RegisterOutput {
  if (status === 404) return { kind: 'absent' }
  if (status === 412) return { kind: 'refused', actual: body.actual }
  if (status > 201) throw new Error(JSON.stringify(body))
  if (kind === 'get') return { kind: 'found', value: body.value, version: body.version }
  return { kind: kind === 'delete' ? 'deleted' : 'written', version: body.version }
}

/** The history of each key by itself. */
function judge(history: readonly Recorded[]): string[] {
  const model = registerModel('counts')
  return keys.map((key) => {
    const own = history.filter(({ input }) => input.key === key)
    const operations = own.map((one) => ({ ...one, input: one.input.input }))
    return linearize(operations, model).verdict
  })
}

t.test('what many clients of two servers see is linearizable', async (t) => {
  const one = await startTestServer(t, {}, { mirror: false })
  const two = await startTestServer(t, {}, { mirror: false, beside: one })
  const history: Recorded[] = []
  const run = async (client: number) => {
    for (let count = 0; count < operationsEach; count += 1) {
      const key = keys[Math.floor(Math.random() * keys.length)] ?? 'a'
      const input = { key, input: draw(client, count) }
      const call = performance.now()
      const answer = await send(client % 2 === 0 ? one : two, input)
      const output = outputOf(input.input, answer)
      history.push({ client, call, return: performance.now(), input, output })
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, client) => run(client)))
  t.strictSame(new Set(judge(history)), new Set(['linearizable']))
  const stale = history.findLast(({ output }) => output?.kind === 'found' && output.version > 20)
  if (stale === undefined) throw new Error('nothing was read late enough')
  const planted = history.map((one) =>
    one === stale ? { ...one, output: { kind: 'found', value: 'x', version: 1 } as const } : one,
  )
  t.ok(judge(planted).includes('not linearizable'), 'a read of what is long gone is found')
})
