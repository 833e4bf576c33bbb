/** Something that is left behind in time and removed now and then. */
export interface Sweep {
  /** What it removes, for the log. */
  what: string
  /** Removes a bounded number; answers how many. */
  sweep: () => Promise<number>
  pauseMs: number
}

/** Removes what has outlived its time, now and then, until it is stopped. */
export function startSweeper({ what, sweep, pauseMs }: Sweep, log: Log): Sweeper {
  let stopped = false

  async function sweepAll(): Promise<void> {
    try {
      while (!stopped && (await sweep()) > 0);
    } catch (err) {
      log.warn({ err }, `${what} could not be removed`)
    }
    if (!stopped) timer = setTimeout(start, pauseMs)
  }

  const start = () => {
    sweeping = sweepAll()
  }
  let sweeping: Promise<void> | undefined
  let timer = setTimeout(start, 0)
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await sweeping
    },
  }
}

export interface Sweeper {
  stop: () => Promise<void>
}

interface Log {
  warn: (facts: object, message: string) => void
}
