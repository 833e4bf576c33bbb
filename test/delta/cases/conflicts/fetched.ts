import type { RelevantActions } from '../../../../src/delta/conflicts/candidate.ts'
import type { Winner } from '../../../../src/delta/conflicts/winner.ts'

function both(names: ReadonlySet<string>, wanted: ReadonlySet<string>): Set<string> {
  return new Set([...names].filter((name) => wanted.has(name)))
}

/** A winner as it is when no more of it is fetched than what was named as relevant. */
export function fetched(winner: Winner, relevant: RelevantActions): Winner {
  const { adds, removes, appIds, domains } = relevant
  const fetchesAdds = adds === 'all' || (adds === 'not-of-blind-appends' && !winner.isBlindAppend)
  return {
    ...winner,
    appIds: both(winner.appIds, appIds),
    domains: both(winner.domains, domains),
    adds: fetchesAdds ? winner.adds : [],
    removes:
      removes === 'all'
        ? winner.removes
        : new Map([...winner.removes].filter(([path]) => removes.has(path))),
  }
}
