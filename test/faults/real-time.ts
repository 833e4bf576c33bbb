import type { RecordedCommit, RecordedRead, RecordedRun } from './recorded-run.ts'
import type { TableModel } from './table-model.ts'

/** Between which versions the head of a table was, as far as its clients can tell. */
export interface RealTime {
  /** The newest version that somebody had been told of at that time. */
  knownAt: (time: number) => number
  /** The newest version that somebody can have made before that time. */
  possibleAt: (time: number) => number
}

/** The time from which a proposal could take effect. */
export const begunAt = ({ attempts }: RecordedCommit) =>
  Math.min(...attempts.map(({ begin }) => begin))

/** The newest version that an answer tells of; undefined when it tells of none. */
export function toldBy(body: string): number | undefined {
  const { currentVersion, version, items } = JSON.parse(body)
  return currentVersion ?? version ?? items?.[0]?.version
}

/** Orders what the clients of a table were told, and when they asked for what. */
export function realTimeOf({ commits, reads }: RecordedRun, table: TableModel): RealTime {
  const told = [
    ...commits.flatMap((commit) =>
      commit.attempts.flatMap(({ end, status, body }) =>
        status === undefined || status > 409 || body === undefined ? [] : { end, body },
      ),
    ),
    ...reads.filter((read: RecordedRead) => read.version === undefined),
  ].flatMap(({ end, body }) => {
    const version = toldBy(body)
    return version === undefined ? [] : { time: end, version }
  })
  told.sort((a, b) => a.time - b.time)
  const known = told.map(({ version }) => version)
  for (const index of known.keys()) {
    known[index] = Math.max(known[index] ?? 0, known[index - 1] ?? 0)
  }
  // A version cannot be there before each one up to it was asked for.
  const begun = table.origins.map((commit) => (commit === undefined ? 0 : begunAt(commit)))
  for (const index of begun.keys()) {
    begun[index] = Math.max(begun[index] ?? 0, begun[index - 1] ?? 0)
  }
  return {
    knownAt: (time) =>
      known[countUntil(told.length, (index) => (told[index]?.time ?? 0) < time) - 1] ?? 0,
    possibleAt: (time) => countUntil(begun.length, (index) => (begun[index] ?? 0) < time) - 1,
  }
}

/** A head that is told of was there at some time between the request and its answer. */
export function checkWindow(
  head: number,
  { begin, end }: { begin: number; end: number },
  { knownAt, possibleAt }: RealTime,
): string[] {
  if (head < knownAt(begin)) return [`was told of ${head} when ${knownAt(begin)} was known`]
  return head > possibleAt(end) ? [`was told of ${head} when nobody had asked for it`] : []
}

/** How many of the first places hold; after the first that does not, none does. */
function countUntil(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low
}
