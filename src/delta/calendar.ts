/** Dates and times as Delta writes them, as counts since 1970-01-01 in the proleptic Gregorian calendar. */
import type { Long } from './actions.ts'

/** A time as it was written. */
export interface WrittenTime {
  /** Microseconds since 1970-01-01 00:00:00, in UTC once the offset is applied; finer digits are cut off. */
  micros: Long
  /** `none` when the text does not say where its clock stood. */
  zone: 'none' | 'utc' | 'offset'
}

const dateText = /^([+-]?\d{4,6})-(\d{1,2})-(\d{1,2})$/
const clockText = String.raw`[ T](?<hour>\d{1,2}):(?<minute>\d{1,2}):(?<second>\d{1,2})(?:\.(?<fraction>\d{1,9}))?`
const zoneText = String.raw`(?<utc>Z)|(?<offsetHours>[+-]\d{2})(?::?(?<offsetMinutes>\d{2}))?`
const timeText = new RegExp(`^(?<date>\\S+?)(?:${clockText}(?:${zoneText})?)?$`)

const dayMillis = 86_400_000
/** Further from 1970 than this, microseconds are beyond what a double counts exactly. */
const daysExact = 100_000
/** No clock is further from UTC than this, also in the past. */
export const zoneHoursMax = 18

/** Days since 1970-01-01 of a `yyyy-MM-dd`; undefined unless the calendar has the day. */
export function epochDays(text: string): number | undefined {
  const match = dateText.exec(text)
  if (!match) return undefined
  const [year, month, day] = [Number(match[1]), Number(match[2]) - 1, Number(match[3])]
  const date = new Date(0)
  const millis = date.setUTCFullYear(year, month, day)
  return date.getUTCMonth() === month && date.getUTCDate() === day ? millis / dayMillis : undefined
}

function microsOf(days: number, seconds: number, fraction: string): Long {
  const micros = seconds * 1_000_000 + Number(fraction.slice(0, 6).padEnd(6, '0'))
  return Math.abs(days) < daysExact
    ? days * 86_400_000_000 + micros
    : BigInt(days) * 86_400_000_000n + BigInt(micros)
}

function offsetOf(hours: string, minutes: string): number | undefined {
  if (Math.abs(Number(hours)) > zoneHoursMax || Number(minutes) > 59) return undefined
  return Number(hours) * 60 + (hours.startsWith('-') ? -1 : 1) * Number(minutes)
}

/**
 * Reads `yyyy-MM-dd`, `yyyy-MM-dd HH:mm:ss[.ffffff]` and ISO 8601 with `Z` or an offset; undefined for
 * anything else. A date alone is its midnight.
 */
export function parseTime(text: string): WrittenTime | undefined {
  const groups = timeText.exec(text)?.groups
  if (!groups) return undefined
  const { date = '', hour = '0', minute = '0', second = '0', fraction = '' } = groups
  const { utc, offsetHours, offsetMinutes = '0' } = groups
  const days = epochDays(date)
  const minutesAhead = offsetOf(offsetHours ?? '+0', offsetMinutes)
  const isOfClock = Number(hour) <= 23 && Number(minute) <= 59 && Number(second) <= 59
  if (days === undefined || minutesAhead === undefined || !isOfClock) return undefined
  const seconds = (Number(hour) * 60 + Number(minute) - minutesAhead) * 60 + Number(second)
  const zone = utc ? 'utc' : offsetHours ? 'offset' : 'none'
  return { micros: microsOf(days, seconds, fraction), zone }
}
