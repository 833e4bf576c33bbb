import type { Pool } from '../connect.ts'
import { type PrimarySample, type ReplicaAnswer, walPlace } from './rules.ts'

/** Asks the primary how far it is. Fails where that takes longer than `msMax`, or where it is no primary. */
export async function findPrimarySample(pool: Pool, msMax: number): Promise<PrimarySample> {
  const askedAt = Date.now()
  const text = `select pg_current_wal_flush_lsn() as place, pg_walfile_name(pg_current_wal_lsn()) as file,
    (extract(epoch from clock_timestamp()) * 1000)::float8 as clock`
  const { rows } = await pool.query(limited(text, msMax))
  const { place, file, clock } = rows[0]
  // The name of the file in which the log is being written begins with the timeline.
  return { askedAt, clock, place: walPlace(place), timeline: Number.parseInt(file.slice(0, 8), 16) }
}

/** Asks a replica how far it is. Fails where that takes longer than `msMax`. */
export async function findReplicaAnswer(pool: Pool, msMax: number): Promise<ReplicaAnswer> {
  // Each of the three may be late to tell of a new timeline, and none is early.
  const text = `select pg_is_in_recovery() as "isStandby", pg_last_wal_replay_lsn() as place,
    (extract(epoch from pg_last_xact_replay_timestamp()) * 1000)::float8 as "committedAt",
    greatest((select timeline_id from pg_control_checkpoint()),
      (select min_recovery_end_timeline from pg_control_recovery()),
      (select max(received_tli) from pg_stat_wal_receiver)) as timeline`
  const { rows } = await pool.query(limited(text, msMax))
  const { isStandby, place, committedAt, timeline } = rows[0]
  return {
    isStandby,
    place: place === null ? undefined : walPlace(place),
    committedAt: committedAt ?? undefined,
    timeline,
  }
}

/** Asks a replica how far it has replayed the log; undefined where it is a replica no more. */
export async function findReplayed(pool: Pool, msMax: number): Promise<bigint | undefined> {
  const text = 'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end as place'
  const { rows } = await pool.query(limited(text, msMax))
  return rows[0].place === null ? undefined : walPlace(rows[0].place)
}

function limited(text: string, msMax: number) {
  return { text, query_timeout: msMax }
}
