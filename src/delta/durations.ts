/** Durations in table properties, such as `interval 1 week 12 hours`. */

const unitMs = {
  week: 604_800_000,
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1_000,
  millisecond: 1,
  microsecond: 0.001,
} as const

const whole = /^(?:interval\s+)?((?:\d+\s+[a-z]+\s*)+)$/i
const part = /(\d+)\s+(week|day|hour|minute|second|millisecond|microsecond)s?(?![a-z])\s*/gi

/** Milliseconds of a duration; undefined when it cannot be read. Months and years have no fixed length. */
export function durationMs(text: string): number | undefined {
  const parts = whole.exec(text.trim())?.[1]
  if (parts === undefined || parts.replaceAll(part, '') !== '') return undefined
  let ms = 0
  for (const [, count, unit = ''] of parts.matchAll(part)) {
    ms += Number(count) * unitMs[unit.toLowerCase() as keyof typeof unitMs]
  }
  return ms
}
