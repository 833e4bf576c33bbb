import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import type { EventProgress } from './rules.ts'

/** What events are of. */
export type Topic = 'channel' | 'lock' | 'election'

/** An event as it is kept. */
export interface EventRow {
  event: number
  kind: string
  /** As JSON; null where the kind says all. */
  payload: string | null
  createdAt: string
}

/** Channels, locks or elections, each with an id, a name and the number of its last event. */
function subjectsOf(topic: Topic): RawBuilder<unknown> {
  return topic === 'channel' ? sql`channels` : sql`(select * from locks where kind = ${topic})`
}

/** How far the events of these names have come, of those that there are. */
export async function listEventProgress(
  db: Db,
  topic: Topic,
  names: readonly string[],
): Promise<EventProgress[]> {
  const { rows } = await sql<EventProgress>`
    select s.name as id, s.last_event as event,
      coalesce(oldest.event, s.last_event + 1) as "historyFrom"
    from ${subjectsOf(topic)} as s
    left join lateral (
      select event from events where topic = ${topic} and subject_id = s.id
      order by event limit 1
    ) as oldest on true
    where s.name = any(${names}::text[])`.execute(db)
  return rows
}

/** What bounds a page of events. */
export interface PageLimits {
  eventsMax: number
  /** Bytes of those that are read, but for the last of them. */
  bytesMax: number
}

/** About what an event has beside its payload. */
const eventBytes = 100

/** The events behind a number, in order. Some may be missing where retention passes by. */
export async function listEventsAfter(
  db: Db,
  { topic, name, after }: { topic: Topic; name: string; after: number },
  { eventsMax, bytesMax }: PageLimits,
): Promise<EventRow[]> {
  const { rows } = await sql<EventRow>`
    with next as (
      select * from events
      where topic = ${topic} and subject_id = (
        select id from ${subjectsOf(topic)} as s where name = ${name}
      ) and event > ${after}::bigint
      order by event limit ${eventsMax}
    ), sized as (
      select *, sum(${eventBytes} + coalesce(pg_column_size(payload), 0))
        over (order by event rows between unbounded preceding and 1 preceding) as before
      from next
    )
    select event, kind, payload, created_at as "createdAt" from sized
    where coalesce(before, 0) < ${bytesMax}
    order by event`.execute(db)
  return rows
}
