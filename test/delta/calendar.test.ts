import fc from 'fast-check'
import t from 'tap'
import { epochDays, parseTime } from '../../src/delta/calendar.ts'

t.test('a date is the days since 1970, in the Gregorian calendar of all times', async (t) => {
  const dates: readonly [string, number | undefined][] = [
    ['1970-01-01', 0],
    ['1969-12-31', -1],
    ['2024-02-29', 19_782],
    ['0001-01-01', -719_162],
    ['0000-02-29', -719_469],
    ['9999-12-31', 2_932_896],
    ['+10000-1-1', 2_932_897],
    ['-0001-12-31', -719_529],
    ['2023-02-29', undefined],
    ['1900-02-29', undefined],
    ['2024-13-01', undefined],
    ['2024-00-10', undefined],
    ['2024-04-31', undefined],
    ['999999-01-01', undefined],
    ['24-01-01', undefined],
    ['2024-01-01 ', undefined],
    ['', undefined],
  ]
  for (const [text, days] of dates) t.equal(epochDays(text), days, text)
})

t.test('dates follow each other day by day', async () => {
  fc.assert(
    fc.property(fc.integer({ min: -719_528, max: 2_932_895 }), (day) => {
      const textOf = (days: number) => new Date(days * 86_400_000).toISOString().slice(0, 10)
      return epochDays(textOf(day)) === day && epochDays(textOf(day + 1)) === day + 1
    }),
  )
})

t.test('a time is microseconds, with what was said of its zone', async (t) => {
  const second = 1_000_000
  const times: readonly [string, number | bigint, 'none' | 'utc' | 'offset'][] = [
    ['1970-01-01', 0, 'none'],
    ['1970-01-01 00:00:01', second, 'none'],
    ['1970-01-01T0:0:1.5', 1.5 * second, 'none'],
    ['1970-01-01T00:00:00.123456789Z', 123_456, 'utc'],
    ['1969-12-31 23:59:59.999999Z', -1, 'utc'],
    ['1970-01-01T02:00:00+02:00', 0, 'offset'],
    ['1970-01-01T05:30:00+0530', 0, 'offset'],
    ['1969-12-31T16:00:00-08', 0, 'offset'],
    ['1969-12-31T23:30:00-00:30', 0, 'offset'],
    ['9999-12-31 23:59:59.999999', 253_402_300_799_999_999n, 'none'],
    ['0001-01-01 00:00:00', -62_135_596_800_000_000n, 'none'],
  ]
  for (const [text, micros, zone] of times) t.same(parseTime(text), { micros, zone }, text)
  for (const text of [
    '',
    'now',
    '2024-01-01 24:00:00',
    '2024-01-01 12:60:00',
    '2024-01-01 12:00:60',
    '2024-01-01 12:00',
    '2024-02-30 12:00:00',
    '2024-01-01 12:00:00.',
    '2024-01-01 12:00:00 UTC',
    '2024-01-01 12:00:00+19:00',
    '2024-01-01 12:00:00+01:60',
    '2024-01-01Z',
    '1704067200',
  ]) {
    t.equal(parseTime(text), undefined, text)
  }
})

t.test('times are exact to the microsecond at any distance from 1970', async () => {
  const year = fc.integer({ min: 1, max: 9999 })
  fc.assert(
    fc.property(year, fc.nat(86_399), fc.nat(999_999), (year, second, micro) => {
      const clock = new Date(second * 1000).toISOString().slice(11, 19)
      const text = `${String(year).padStart(4, '0')}-07-01 ${clock}.${String(micro).padStart(6, '0')}`
      const days = BigInt(epochDays(text.slice(0, 10)) ?? 0)
      const micros = (days * 86_400n + BigInt(second)) * 1_000_000n + BigInt(micro)
      return BigInt(parseTime(text)?.micros ?? 0.5) === micros
    }),
  )
})
