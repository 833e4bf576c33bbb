/** When versions were made, in a log whose commits need not tell. */

/** What is known of the time of a version, in epoch milliseconds. */
export interface VersionTime {
  /** That of the file. */
  modifiedAt: number
  /** That of the commit, where the table had in-commit timestamps on. */
  inCommitTimestamp: number | undefined
}

/**
 * A time for each version in turn, strictly rising: that of the commit where it tells one, else that of its file. Files
 * that are younger than a later commit says of itself, as copies are, count as just before it; one that is not younger
 * than the file before counts as a millisecond younger, as Delta readers do it.
 */
export function risingTimes(versions: readonly VersionTime[]): number[] {
  const times: number[] = []
  let limit = Number.POSITIVE_INFINITY
  for (const { modifiedAt, inCommitTimestamp } of versions.toReversed()) {
    limit -= 1
    const time = inCommitTimestamp ?? Math.min(Math.floor(modifiedAt), limit)
    if (inCommitTimestamp !== undefined) limit = Math.min(limit, inCommitTimestamp)
    times.push(time)
  }
  times.reverse()
  let before = Number.NEGATIVE_INFINITY
  return times.map((time) => {
    before = Math.max(time, before + 1)
    return before
  })
}
