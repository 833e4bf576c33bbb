import { setTimeout as sleep } from 'node:timers/promises'
import type { Ground } from './benchmark.ts'

/** Sends small requests one after the other until the work is done, and answers how many milliseconds each took. */
export async function waitsDuring(work: Promise<unknown>, ground: Ground): Promise<number[]> {
  const waits: number[] = []
  let isDone = false
  const end = work.finally(() => {
    isDone = true
  })
  while (!isDone) {
    const start = performance.now()
    await ground.call('GET', '/health/live')
    waits.push(performance.now() - start)
    await Promise.race([end, sleep(20)])
  }
  await end
  return waits
}

/** The number that this part of all is below; of 1, the largest. */
export function percentile(numbers: readonly number[], part: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? 0
}
