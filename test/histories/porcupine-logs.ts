import type { Model, Operation } from './linearizability.ts'

/** An event of a log: a process calls, or is answered, or told that nobody knows. */
interface LogEvent {
  process: string
  /** Undefined for the end of what the process called last. */
  input?: unknown
  output?: unknown
}

export interface CasInput {
  kind: 'read' | 'write' | 'cas'
  value?: number
  from?: number
}

/** Undefined stands for an outcome that nobody knows. */
export type CasOutput = { value: number | undefined } | { isDone: boolean } | undefined

/** A register as the etcd of 2014 had it: read, write and compare-and-set of a number. */
export const casModel: Model<number | undefined, CasInput, CasOutput> = {
  init: undefined,
  step(state, { kind, value, from }, output) {
    if (kind === 'write') return { ok: true, state: value }
    if (kind === 'read') {
      const isRight = output === undefined || ('value' in output && output.value === state)
      return { ok: isRight, state }
    }
    const isDone = state === from
    const isRight = output === undefined || ('isDone' in output && output.isDone === isDone)
    return { ok: isRight, state: isDone ? value : state }
  },
  stateKey: String,
}

export interface TextInput {
  kind: 'get' | 'put' | 'append'
  key: string
  value?: string
}

/** A text that is put, appended to and read. */
export const textModel: Model<string, TextInput, string | undefined> = {
  init: '',
  step(state, { kind, value = '' }, output) {
    if (kind === 'get') return { ok: output === undefined || output === state, state }
    return { ok: true, state: kind === 'put' ? value : state + value }
  },
  stateKey: (state) => state,
}

/** Many texts in one state, for a history that is not taken apart by key. */
export const textsModel: Model<ReadonlyMap<string, string>, TextInput, string | undefined> = {
  init: new Map(),
  step(state, input, output) {
    const { key, kind } = input
    const { ok, state: text } = textModel.step(state.get(key) ?? '', input, output)
    return { ok, state: kind === 'get' ? state : new Map(state).set(key, text) }
  },
  stateKey: (state) => JSON.stringify([...state].sort()),
}

/** Reads a log of Jepsen's first test of etcd. */
export function parseCasLog(text: string): Operation<CasInput, CasOutput>[] {
  const pattern = /^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(\w+)\s+:(\w+)\s+(.*)$/gm
  const events = [...text.matchAll(pattern)].flatMap((match): LogEvent[] => {
    const [, process = '', type, kind, rest = ''] = match
    const numbers = [...rest.matchAll(/\d+/g)].map(Number)
    if (type === 'invoke') return [{ process, input: casInputOf(kind, numbers) }]
    if (kind === 'read' && rest === ':timed-out') return [{ process, output: undefined }]
    if (kind === 'read') return [{ process, output: { value: numbers[0] } }]
    // What has neither gone well nor failed for certain stays without an end.
    if (type === 'info' || rest.startsWith(':')) return []
    return [{ process, output: { isDone: type === 'ok' } }]
  })
  return operationsOf(events) as Operation<CasInput, CasOutput>[]
}

function casInputOf(kind: string | undefined, [first, second]: number[]): CasInput {
  if (kind === 'read') return { kind }
  if (first === undefined) throw new Error(`a ${kind} of nothing`)
  if (kind === 'write') return { kind, value: first }
  if (second === undefined) throw new Error(`a ${kind} to nothing`)
  return { kind: 'cas', from: first, value: second }
}

/** Reads a log of texts with keys. */
export function parseTextLog(text: string): Operation<TextInput, string | undefined>[] {
  const pattern = /\{:process (\d+), :type :(\w+), :f :(\w+), :key "(.*)", :value (nil|".*")\}/g
  const events = [...text.matchAll(pattern)].map((match): LogEvent => {
    const [, process = '', type, kind, key, told = ''] = match
    const value = told === 'nil' ? undefined : told.slice(1, -1)
    return type === 'invoke' ? { process, input: { kind, key, value } } : { process, output: value }
  })
  return operationsOf(events) as Operation<TextInput, string | undefined>[]
}

/** The place of an event in the log is its time. */
function operationsOf(events: readonly LogEvent[]): Operation<unknown, unknown>[] {
  const open = new Map<string, Operation<unknown, unknown>>()
  const operations: Operation<unknown, unknown>[] = []
  for (const [at, { process, input, output }] of events.entries()) {
    if (input !== undefined) {
      const operation = { client: process, call: at, return: Infinity, input, output: undefined }
      open.set(process, operation)
      operations.push(operation)
      continue
    }
    const operation = open.get(process)
    if (operation === undefined) throw new Error(`process ${process} was answered unasked`)
    open.delete(process)
    Object.assign(operation, { return: at, output })
  }
  return operations
}
