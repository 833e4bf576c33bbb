/** Does work when its turn has come. */
export type TakeTurn = <Result>(work: () => Promise<Result>) => Promise<Result>

/** Lets so many works run at once; the others wait for their turn, in order. */
export function createTurns(max: number): TakeTurn {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running < max) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
