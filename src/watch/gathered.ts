import { setImmediate } from 'node:timers/promises'
import type { TakeTurn } from './turns.ts'

interface Waiting<Place, Found> extends PromiseWithResolvers<Found> {
  place: Place
}

/**
 * Reads what lies at many places at once: those that are asked for before a turn comes go together, so many at most.
 * `readAll` answers in the order in which it was asked.
 */
export function readGathered<Place, Found>(
  readAll: (places: readonly Place[]) => Promise<readonly Found[]>,
  { takeTurn, max }: { takeTurn: TakeTurn; max: number },
): (place: Place) => Promise<Found> {
  const waiting: Waiting<Place, Found>[] = []

  async function readSome(): Promise<void> {
    // What is asked for in this turn of the event loop is among them.
    await setImmediate()
    const some = waiting.splice(0, max)
    if (some.length === 0) return
    try {
      const found = await readAll(some.map(({ place }) => place))
      for (const [index, { resolve }] of some.entries()) resolve(found[index] as Found)
    } catch (error) {
      for (const { reject } of some) reject(error)
    }
  }

  return (place) => {
    const asked = { place, ...Promise.withResolvers<Found>() }
    waiting.push(asked)
    void takeTurn(readSome)
    return asked.promise
  }
}
