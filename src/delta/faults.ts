/** What is wrong with a JSON value: `pointer` (RFC 6901) says where, `message` what and what to do. */
export interface Fault {
  pointer: string
  message: string
}

/** At most so many faults are told about one value. */
export const faultsMax = 100

/** One more step of a JSON pointer, escaped. */
export function pointerSegment(name: string | number): string {
  return `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** The same faults, told from further out. */
export function faultsBelow<F extends Fault>(prefix: string, faults: readonly F[]): F[] {
  return faults.map((fault) => ({ ...fault, pointer: prefix + fault.pointer }))
}
