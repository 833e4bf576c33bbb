import type { Model } from './linearizability.ts'

/** One entry with versions. Version 0 stands for one that is not there. */
export interface Register {
  value: string | undefined
  version: number
  /** The highest version so far, also when the entry is deleted since. */
  lastVersion: number
}

export type RegisterInput =
  | { kind: 'get' }
  | { kind: 'put'; value: string; expectedVersion?: number }
  | { kind: 'delete'; expectedVersion?: number }
  /** Writes `to` when the value is `from`; undefined stands for an entry that is not there. */
  | { kind: 'compare-and-set'; from: string | undefined; to: string }

export type RegisterOutput =
  | { kind: 'found'; value: string; version: number }
  | { kind: 'absent' }
  | { kind: 'written'; version: number }
  /** `version` is that of the delete, where it has one and was told. */
  | { kind: 'deleted'; version?: number }
  /** `actual` is the version that was there, when it was told. */
  | { kind: 'refused'; actual?: number }

/**
 * What the version of an entry is that is put again after it was deleted: 1, or one above its last, or one above that of
 * the delete, which counts like a put.
 */
export type AfterDelete = 'restarts' | 'continues' | 'counts'

/** What a single copy answers, and what it holds after that. Pure. */
export function apply(
  register: Register,
  input: RegisterInput,
  afterDelete: AfterDelete,
): { register: Register; output: RegisterOutput } {
  const { value, version, lastVersion } = register
  const refused = { register, output: { kind: 'refused', actual: version } as const }
  const write = (written: string) => {
    const before = afterDelete === 'restarts' ? version : lastVersion
    const next = { value: written, version: before + 1, lastVersion: before + 1 }
    return { register: next, output: { kind: 'written', version: before + 1 } as const }
  }
  if (input.kind === 'get') {
    const found = value === undefined ? absent : ({ kind: 'found', value, version } as const)
    return { register, output: found }
  }
  if (input.kind === 'compare-and-set') return input.from === value ? write(input.to) : refused
  if (input.expectedVersion !== undefined && input.expectedVersion !== version) return refused
  if (input.kind === 'put') return write(input.value)
  if (value === undefined) return { register, output: absent }
  const gone = { value: undefined, version: 0, lastVersion }
  if (afterDelete !== 'counts') return { register: gone, output: { kind: 'deleted' } }
  const counted = { ...gone, lastVersion: lastVersion + 1 }
  return { register: counted, output: { kind: 'deleted', version: lastVersion + 1 } }
}

const absent = { kind: 'absent' } as const

export const emptyRegister: Register = { value: undefined, version: 0, lastVersion: 0 }

/** An entry of a key-value store: an output of undefined is an outcome that nobody knows. */
export function registerModel(
  afterDelete: AfterDelete,
): Model<Register, RegisterInput, RegisterOutput | undefined> {
  return {
    init: emptyRegister,
    step(state, input, output) {
      const { register, output: right } = apply(state, input, afterDelete)
      return { ok: output === undefined || agrees(output, right), state: register }
    },
    stateKey: ({ value, version, lastVersion }) =>
      version === 0 ? `nothing after version ${lastVersion}` : `version ${version} ${value}`,
    // Versions that never start again only rise.
    ...(afterDelete !== 'restarts' && { clock: { of: ({ lastVersion }) => lastVersion, latest } }),
  }
}

/** The last version before which, or at which, an output can come. */
function latest(_: RegisterInput, output: RegisterOutput | undefined): number {
  if (output?.kind === 'found') return output.version
  if (output?.kind === 'written') return output.version - 1
  if (output?.kind === 'deleted' && output.version) return output.version - 1
  return output?.kind === 'refused' && output.actual ? output.actual : Infinity
}

function agrees(output: RegisterOutput, right: RegisterOutput): boolean {
  if (output.kind === 'refused' && right.kind === 'refused') {
    return output.actual === undefined || output.actual === right.actual
  }
  if (output.kind === 'found' && right.kind === 'found') {
    return output.value === right.value && output.version === right.version
  }
  if (output.kind === 'written' && right.kind === 'written') return output.version === right.version
  if (output.kind === 'deleted' && right.kind === 'deleted') {
    return output.version === undefined || output.version === right.version
  }
  return output.kind === right.kind
}
