import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation } from '../histories/linearizability.ts'
import type { RegisterInput, RegisterOutput } from '../histories/register-model.ts'
import type { Api, TestAnswer } from '../support/api.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'

/** What was asked of an entry and answered; an output of undefined is an outcome that nobody knows. */
export interface EntryOperation extends Operation<RegisterInput, RegisterOutput | undefined> {
  key: string
}

/** Clients that write and read entries without pause, and note all that they ask and are told. */
export interface StateClients extends Pick<Pace, 'progress' | 'end'> {
  history: EntryOperation[]
  /** Answers that no client should ever get. */
  surprises: readonly string[]
  /** Reads each entry once more, at a server. */
  readAll: (api: Api) => Promise<void>
}

interface Asked {
  api: Api
  client: number | string
  key: string
  input: RegisterInput
}

const pauseMs = 40

/** Starts that many clients, shared out among the servers. */
export function startStateClients(
  servers: readonly Api[],
  { keys, count }: { keys: readonly string[]; count: number },
): StateClients {
  const history: EntryOperation[] = []
  const surprises: string[] = []
  /** The version of each key that a client was told of last. */
  const versions = new Map<string, number>()

  async function run({ api, client, key, input }: Asked): Promise<RegisterOutput | undefined> {
    const call = performance.now()
    const answer = await send(api, key, input)
    const end = performance.now()
    if (answer === 'never sent') return undefined
    const output = answer === 'lost' ? undefined : outputOf(input, answer)
    if (output === undefined && answer !== 'lost' && answer.status < 500) {
      surprises.push(`${JSON.stringify(input)}: ${answer.status} ${answer.text}`)
    }
    const over = output === undefined ? Number.POSITIVE_INFINITY : end
    history.push({ client, key, call, return: over, input, output })
    const version = output === undefined ? undefined : versionIn(output)
    if (version !== undefined) versions.set(key, version)
    return output
  }

  async function runClient(api: Api, client: number, pace: Pace): Promise<void> {
    for (let turn = 0; !pace.isEnded(); turn += 1) {
      const key = pick(keys)
      const input = propose(`${client}-${turn}`, versions.get(key) ?? 0)
      const output = await run({ api, client, key, input })
      if (output?.kind === 'written') pace.count()
      await sleep(Math.random() * pauseMs)
    }
  }

  const { progress, end } = startClientsAt(count, (pace, number) =>
    runClient(servers[number % servers.length] as Api, number, pace),
  )
  return {
    history,
    surprises,
    progress,
    end,
    async readAll(api) {
      for (const key of keys) await run({ api, client: 'at the end', key, input: { kind: 'get' } })
    },
  }
}

/** Something that a client may want who believes that the entry has this version. */
function propose(value: string, version: number): RegisterInput {
  const kinds: (() => RegisterInput)[] = [
    () => ({ kind: 'get' }),
    () => ({ kind: 'get' }),
    () => ({ kind: 'put', value }),
    () => ({ kind: 'put', value, expectedVersion: version }),
    () => ({ kind: 'put', value, expectedVersion: version }),
    () => (Math.random() < 0.5 ? { kind: 'delete' } : { kind: 'delete', expectedVersion: version }),
  ]
  return pick(kinds)()
}

/** The answer; lost where there was none, and never sent where nobody took the connection. */
async function send(
  api: Api,
  key: string,
  input: RegisterInput,
): Promise<TestAnswer | 'lost' | 'never sent'> {
  try {
    return await sendTo(api, `/state/histories/entries/${key}`, input)
  } catch (error) {
    const { code } = (error as Error).cause as NodeJS.ErrnoException
    return code === 'ECONNREFUSED' ? 'never sent' : 'lost'
  }
}

function sendTo(api: Api, path: string, input: RegisterInput): Promise<TestAnswer> {
  switch (input.kind) {
    case 'get':
      return api.get(path)
    case 'put': {
      const { value, expectedVersion } = input
      return api.call('PUT', path, { json: { value, expectedVersion } })
    }
    case 'delete': {
      const { expectedVersion } = input
      const query = expectedVersion === undefined ? '' : `?expectedVersion=${expectedVersion}`
      return api.call('DELETE', `${path}${query}`)
    }
    default:
      throw new Error(`an entry knows no ${input.kind}`)
  }
}

/** What an answer says, if it is one that an operation can have. */
function outputOf(
  { kind }: RegisterInput,
  { status, body }: TestAnswer,
): RegisterOutput | undefined {
  const isRead = kind === 'get'
  if (status === 404 && kind !== 'put' && body.code === 'entry-not-found') return { kind: 'absent' }
  if (status === 412 && !isRead) return { kind: 'refused', actual: body.actual }
  if (status === 200 && kind === 'delete') return { kind: 'deleted', version: body.version }
  if (status === 200 && isRead) return { kind: 'found', value: body.value, version: body.version }
  // A new entry alone is 201, which the version cannot tell: that goes on after a delete.
  if (kind === 'put' && (status === 200 || status === 201)) {
    return { kind: 'written', version: body.version }
  }
  return undefined
}

function versionIn(output: RegisterOutput): number | undefined {
  if (output.kind === 'found' || output.kind === 'written') return output.version
  return output.kind === 'refused' ? output.actual : 0
}
