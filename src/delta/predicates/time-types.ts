/** Dates and times in literals, partition values and statistics. */
import { epochDays, parseTime, type WrittenTime, zoneHoursMax } from '../calendar.ts'
import { addLongs } from '../longs.ts'
import { exactly, type Possibility, type Range, range } from './possibilities.ts'
import type { ValueType } from './value-type.ts'

const minuteMicros = 60_000_000
const zoneMicros = zoneHoursMax * 60 * minuteMicros
/** 1973-01-01 UTC. Until the year before, some clocks were off UTC by minutes and seconds. */
const wholeMinutesSince = 94_694_400_000_000

function dateValue(text: unknown): Range | undefined {
  const days = typeof text === 'string' ? epochDays(text) : undefined
  return days === undefined ? undefined : range(days, days)
}

/** `date`, as days. */
export const dateType: ValueType = {
  family: 'date',
  example: 'a date such as 2024-01-31',
  literal: dateValue,
  partition: dateValue,
  bound: dateValue,
}

function around({ micros }: WrittenTime, before: number, after: number): Range {
  return range(addLongs(micros, -before), addLongs(micros, after))
}

/** A writer's clock whose offset was not written may have stood anywhere. */
function instantsOf(time: WrittenTime): Range {
  return time.zone === 'none' ? around(time, zoneMicros, zoneMicros) : around(time, 0, 0)
}

/** Statistics are cut down to milliseconds (PROTOCOL.md, "Per-file Statistics"). */
function cutMicros({ micros }: WrittenTime): number {
  return BigInt(micros) % 1000n === 0n ? 999 : 0
}

/** Offsets in statistics are cut down to minutes, which old ones were not. */
function offsetMicros({ micros, zone }: WrittenTime): number {
  if (zone === 'none') return zoneMicros
  return zone === 'offset' && micros < wholeMinutesSince ? minuteMicros : 0
}

/** `timestamp`, as microseconds in UTC. */
export const timestampType: ValueType = {
  family: 'timestamp',
  example: 'a time such as 2024-01-31T12:00:00Z',
  literal: (text) => {
    const time = parseTime(text)
    return time && exactly(time.micros)
  },
  partition: (text) => {
    const time = parseTime(text)
    return time && instantsOf(time)
  },
  bound: (written) => {
    const time = typeof written === 'string' ? parseTime(written) : undefined
    if (!time) return undefined
    const slack = offsetMicros(time)
    return around(time, slack, slack + cutMicros(time))
  },
}

function localTime(text: string): Possibility | undefined {
  const time = parseTime(text)
  return time?.zone === 'none' ? exactly(time.micros) : undefined
}

/** `timestamp_ntz`, as microseconds of a clock whose zone does not matter. */
export const timestampNtzType: ValueType = {
  family: 'timestamp_ntz',
  example: 'a time such as 2024-01-31 12:00:00',
  literal: localTime,
  partition: localTime,
  bound: (written) => {
    const time = typeof written === 'string' ? parseTime(written) : undefined
    // Some writers end these with a Z that means nothing.
    return time && time.zone !== 'offset' ? around(time, 0, cutMicros(time)) : undefined
  },
}
