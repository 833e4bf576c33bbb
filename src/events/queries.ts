import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'

/** What is published to a channel. */
export interface Publication {
  channel: string
  kind: string
  /** JSON on one line. */
  payload: string
}

/** An event that was published. */
export interface PublishedEvent {
  channel: string
  /** Its number among those of the channel. */
  event: number
  createdAt: string
}

/**
 * Publishes in the order given, and answers in it. Channels are made on their first event. Their rows are locked in the
 * order of names, and numbers are given out under the lock, so whoever sees an event sees all before it.
 */
export async function insertPublications(
  tx: Tx,
  publications: readonly Publication[],
): Promise<PublishedEvent[]> {
  const { rows } = await sql<PublishedEvent>`
    with given as materialized (
      select channel collate "C" as channel, kind, payload, place from unnest(
        ${publications.map(({ channel }) => channel)}::text[],
        ${publications.map(({ kind }) => kind)}::text[],
        ${publications.map(({ payload }) => payload)}::text[]
      ) with ordinality as given (channel, kind, payload, place)
    ), heads as (
      insert into channels as c (name, last_event)
      select channel, count(*) from given group by channel order by channel
      on conflict (name) do update set last_event = c.last_event + excluded.last_event
      returning id, name, last_event, clock_timestamp() as created_at
    ), numbered as materialized (
      select h.id, g.*, h.created_at, h.last_event - count(*) over (partition by h.id)
        + row_number() over (partition by h.id order by g.place) as event
      from heads h join given g on g.channel = h.name
    ), written as (
      insert into events (topic, subject_id, event, kind, payload, created_at)
      select 'channel', id, event, kind, payload::json, created_at from numbered
    )
    select channel, event, created_at as "createdAt" from numbered order by place`.execute(tx)
  return rows
}

/** Removes events that have outlived the retention time, a bounded number at once; answers how many. */
export async function deleteExpiredEvents(tx: Tx, retentionMs: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from events where (topic, subject_id, event) in (
      select topic, subject_id, event from events
      where created_at <= clock_timestamp() - ${retentionMs} * interval '1 ms'
      order by created_at limit 1000 for update skip locked
    )`.execute(tx)
  return Number(numAffectedRows)
}
