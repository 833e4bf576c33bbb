import { setTimeout as sleep } from 'node:timers/promises'

/** Resident memory of the server, in MB. */
export async function residentMb(address: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]) / 1e6
}

/** The most that was resident while something was done, looked at again and again. */
export async function peakMb(address: string, work: () => Promise<void>): Promise<number> {
  let isDone = false
  const done = work().finally(() => {
    isDone = true
  })
  let peak = 0
  while (!isDone) {
    peak = Math.max(peak, await residentMb(address))
    await Promise.race([done, sleep(100)])
  }
  await done
  return Math.max(peak, await residentMb(address))
}
