import type { Long } from './actions.ts'

/** Delta longs are signed 64-bit integers. */
export const longMax = 2n ** 63n - 1n
export const longMin = -(2n ** 63n)

/** Whether a value is a whole number in the range of a long, and exact. */
export function isLong(value: unknown): value is Long {
  if (typeof value === 'number') return Number.isSafeInteger(value)
  return typeof value === 'bigint' && value >= longMin && value <= longMax
}

/** Exact sum of two longs, as a number where that is exact. */
export function addLongs(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum)) return sum
  }
  return toLong(BigInt(a) + BigInt(b))
}

/** Exact difference of two longs, as a number where that is exact. */
export function subtractLongs(a: Long, b: Long): Long {
  return addLongs(a, typeof b === 'number' ? -b : -b)
}

function toLong(value: bigint): Long {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
