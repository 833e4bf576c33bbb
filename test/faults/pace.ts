import { setTimeout as sleep } from 'node:timers/promises'

/** How far clients that commit without pause have come, and when they are to end. */
export interface Pace {
  isEnded: () => boolean
  /** Counts a commit that was answered 201. */
  count: () => void
  /** Resolves when that many more were. */
  progress: (commits: number) => Promise<void>
  /** Lets each client settle what it is at, and ends. */
  end: () => Promise<void>
}

/** Starts that many clients; each is to look whether it has ended before it begins anything new. */
export function startClientsAt(
  count: number,
  runClient: (pace: Pace, number: number) => Promise<void>,
): Pace {
  let committed = 0
  let ended = false
  const pace: Pace = {
    isEnded: () => ended,
    count() {
      committed += 1
    },
    async progress(commits) {
      const enough = committed + commits
      while (committed < enough) await sleep(5)
    },
    async end() {
      ended = true
      await running
    },
  }
  const running = Promise.all(Array.from({ length: count }, (_, number) => runClient(pace, number)))
  return pace
}

export function pick<Item>(items: readonly Item[]): Item {
  const item = items[Math.floor(Math.random() * items.length)]
  if (item === undefined) throw new Error('there is nothing to pick from')
  return item
}
