/** What the columns of each type hold in this program; `connect.ts` sets the parsers to match. */
import type { ColumnType } from 'kysely'

/** A bigint column whose values stay below 2^53: versions, counts of files, epoch milliseconds. */
export type BigInteger = ColumnType<number, number, number>
/** A bigint column that can hold any Delta long: a number where that is exact, else a bigint. */
export type LongColumn = ColumnType<number | bigint, number | bigint, number | bigint>
/** A timestamptz column, as RFC 3339 in UTC. */
export type Instant = ColumnType<string, string | undefined, string>
