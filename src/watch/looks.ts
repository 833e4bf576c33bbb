export interface LooksOptions {
  look: (ids: readonly string[]) => Promise<void>
  pollMs: number
  /** Time between two looks at least. */
  restMs: () => number
  /** All that is to be looked at from time to time. */
  all: () => Iterable<string>
  onError: (error: unknown) => void
}

/** Looks at feeds one statement at a time: at all of them every `pollMs`, at some when told to. */
export function startLooks({ look, pollMs, restMs, all, onError }: LooksOptions) {
  const due = new Set<string>()
  let looking: Promise<void> | undefined
  let rest: NodeJS.Timeout | undefined
  let stopped = false

  function pump(): void {
    if (stopped || looking !== undefined || rest !== undefined || due.size === 0) return
    const ids = [...due]
    due.clear()
    looking = look(ids)
      .catch(onError)
      .then(() => {
        looking = undefined
        rest = setTimeout(() => {
          rest = undefined
          pump()
        }, restMs())
      })
  }

  const at = (ids: Iterable<string>) => {
    for (const id of ids) due.add(id)
    pump()
  }
  // A process that does nothing else may end.
  const poll = setInterval(() => at(all()), pollMs).unref()
  return {
    at,
    async stop() {
      stopped = true
      clearInterval(poll)
      await looking
      clearTimeout(rest)
    },
  }
}
