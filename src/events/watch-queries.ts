import { type RawBuilder, sql } from 'kysely'
import type { Db } from '../database/connect.ts'
import type { EventHistory, EventProgress } from './rules.ts'

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
    select s.name as id, s.last_event as event from ${subjectsOf(topic)} as s
    where s.name = any(${names}::text[])`.execute(db)
  return rows
}

/** The same of one name, and from where on its events are left. */
export async function findEventHistory(
  db: Db,
  topic: Topic,
  name: string,
): Promise<EventHistory | undefined> {
  const { rows } = await sql<EventHistory>`
    select s.name as id, s.last_event as event, coalesce(
      (
        select event from events where topic = ${topic} and subject_id = s.id
        order by event limit 1
      ),
      s.last_event + 1
    ) as "historyFrom"
    from ${subjectsOf(topic)} as s where s.name = ${name}`.execute(db)
  return rows[0]
}

/** Behind an event of a name. */
export interface EventPlace {
  name: string
  after: number
}

/** What bounds a page of events. */
export interface PageLimits {
  eventsMax: number
  /** Bytes of those that are read, but for the last of them. */
  bytesMax: number
}

/** About what an event has beside its payload. */
const eventBytes = 100

/** The events behind each of the places, in order. Some may be missing where retention passes by. */
export async function listEventsAfter(
  db: Db,
  { topic, places }: { topic: Topic; places: readonly EventPlace[] },
  { eventsMax, bytesMax }: PageLimits,
): Promise<EventRow[][]> {
  const { rows } = await sql<EventRow & { place: number }>`
    select asked.place, page.*
    from unnest(
      ${places.map(({ name }) => name)}::text[], ${places.map(({ after }) => after)}::bigint[]
    ) with ordinality as asked (name, after, place)
    join ${subjectsOf(topic)} as s on s.name = asked.name
    cross join lateral (
      select event, kind, payload, created_at as "createdAt" from (
        select *, sum(${eventBytes} + coalesce(pg_column_size(payload), 0))
          over (order by event rows between unbounded preceding and 1 preceding) as before
        from (
          select event, kind, payload, created_at from events
          where topic = ${topic} and subject_id = s.id and event > asked.after
          order by event limit ${eventsMax}
        ) as next
      ) as sized
      where coalesce(before, 0) < ${bytesMax}
    ) as page
    order by asked.place, page.event`.execute(db)
  const pages = Map.groupBy(rows, ({ place }) => place)
  return places.map((_, index) => pages.get(index + 1) ?? [])
}
