/** A place in the write-ahead log, as PostgreSQL writes it, as a number that can be compared. */
export function walPlace(text: string | null | undefined): bigint {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/.exec(text ?? '') ?? []
  if (high === undefined || low === undefined) throw new Error(`${text} is no place in the log`)
  return BigInt(`0x${high}`) * 2n ** 32n + BigInt(`0x${low}`)
}
