import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import type { RangeRead, StateProposal } from './operations.ts'

/** Writes that are looked through for each range; behind so many it is taken to have changed. */
const writesMax = 10_000

/**
 * Of the ranges that were read, those in which a key was written since, with one such key. One whose writes are too many
 * to look through, or have left the history in part, is taken to have changed.
 */
export async function findStaleRanges(
  tx: Tx,
  proposals: readonly StateProposal[],
): Promise<Map<RangeRead, string>> {
  const asked = proposals.flatMap(({ namespaceId, reads }) =>
    (reads?.ranges ?? []).map((range) => ({ namespaceId, range })),
  )
  if (asked.length === 0) return new Map()
  const { rows } = await sql<{ place: number; key: string }>`
    select a.place, coalesce(since.key, a.from_key) as key
    from unnest(
      ${asked.map(({ namespaceId }) => namespaceId)}::integer[],
      ${asked.map(({ range }) => range.from)}::text[],
      ${asked.map(({ range }) => range.to ?? null)}::text[],
      ${asked.map(({ range }) => range.sinceRevision)}::bigint[])
      with ordinality as a (id, from_key, to_key, since_revision, place)
    join state_namespaces n on n.id = a.id
    cross join lateral (
      select count(*) as seen,
        min(key) filter (
          where key >= a.from_key and (a.to_key is null or key < a.to_key)
        ) as key
      from (
        select key from state_history h
        where h.namespace_id = a.id and h.revision > a.since_revision
        order by revision, position
        limit ${writesMax + 1}
      ) as looked_through
    ) as since
    where since.key is not null or since.seen > ${writesMax}
      or n.history_from > a.since_revision + 1`.execute(tx)
  return new Map(
    rows.flatMap(({ place, key }) => {
      const range = asked[Number(place) - 1]?.range
      return range === undefined ? [] : [[range, key] as const]
    }),
  )
}
