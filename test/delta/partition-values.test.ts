import fc from 'fast-check'
import t from 'tap'
import { valueFormat } from '../../src/delta/partition-values.ts'

const cases: readonly [type: string, good: string[], bad: string[]][] = [
  ['byte', ['0', '-128', '127', '+5', '007'], ['128', '-129', '1.0', 'a', ' 1', '1e2', '--1']],
  ['short', ['32767', '-32768'], ['32768']],
  ['integer', ['2147483647', '-2147483648'], ['2147483648', '__HIVE_DEFAULT_PARTITION__']],
  [
    'long',
    ['9223372036854775807', '-9223372036854775808'],
    ['9223372036854775808', '9'.repeat(50), '9'.repeat(100_000)],
  ],
  [
    'float',
    ['1', '-1.5', '.5', '5.', '1E10', '1.0E-5', 'NaN', 'Infinity', '-Infinity', 'inf'],
    ['1,5', 'x', '1e', '.'],
  ],
  ['double', ['3.14'], ['3.14.15']],
  ['boolean', ['true', 'false'], ['TRUE', '1', 't', 'yes']],
  [
    'date',
    ['1970-01-01', '2024-02-29', '2000-02-29', '0001-1-1', '+10000-12-31', '-0044-03-15'],
    [
      '2023-02-29',
      '1900-02-29',
      '2024-13-01',
      '2024-00-01',
      '2024-01-00',
      '2024-04-31',
      '24-01-01',
      '2024/01/01',
      '2024-01-01 00:00:00',
    ],
  ],
  [
    'timestamp',
    [
      '1970-01-01 00:00:00',
      '1970-01-01 00:00:00.123456',
      '1970-01-01T00:00:00.123456Z',
      '2024-01-31T23:59:59+02:00',
      '2024-01-31 1:2:3.1',
    ],
    [
      '1970-01-01',
      '2024-01-31 24:00:00',
      '2024-01-31 12:60:00',
      '2024-01-31 12:00:60',
      '2024-02-30 12:00:00',
      '1700000000',
      '2024-01-31 12:00',
      '2024-01-31T12:00:00.Z',
    ],
  ],
  [
    'timestamp_ntz',
    ['1970-01-01 00:00:00', '1970-01-01T00:00:00.5'],
    ['1970-01-01T00:00:00Z', '1970-01-01 00:00:00+01:00', 'now'],
  ],
  [
    'decimal(5,2)',
    [
      '0',
      '-0.00',
      '123.45',
      '999.99',
      '000123.4500',
      '1.2E2',
      '12345E-2',
      '0E-18',
      '.5',
      '+1.',
      '0.00001E4',
    ],
    ['1000', '1.234', '1e5', '1e999999999', 'x', '', '.', '1.2.3', '1e'],
  ],
  ['decimal(3,3)', ['0.123', '.999', '0'], ['1', '0.1234']],
]

t.test('values are read as the type of their column', async (t) => {
  for (const [type, good, bad] of cases) {
    const format = valueFormat(type)
    t.type(format?.example, 'string')
    for (const text of good) t.equal(format?.reads(text), true, `${type} ${text}`)
    for (const text of bad) t.equal(format?.reads(text), false, `${type} ${text.slice(0, 60)}`)
  }
})

t.test('any text is a string or binary, and no type is unknown to refuse', async (t) => {
  for (const type of ['string', 'binary', 'geometry', undefined])
    t.equal(valueFormat(type), undefined)
})

t.test('a decimal is read when it has few enough digits before and after the point', async () => {
  const digits = fc.nat({ max: 99_999_999 })
  fc.assert(
    fc.property(
      digits,
      fc.nat(10),
      fc.integer({ min: -6, max: 6 }),
      (unscaled, scale, exponent) => {
        const padded = String(unscaled).padStart(scale + 1, '0')
        const point = padded.length - scale
        const text = `${padded.slice(0, point)}.${padded.slice(point)}e${exponent}`
        // The exact value times 10^16 is whole, so that a slow model can count in whole numbers.
        const value = BigInt(unscaled) * 10n ** BigInt(16 + exponent - scale)
        const isLegal = value < 10n ** (3n + 16n) && value % 10n ** (16n - 2n) === 0n
        return valueFormat('decimal(5,2)')?.reads(text) === isLegal
      },
    ),
  )
})

t.test('a date is read when the calendar has it', async () => {
  const part = fc.nat(40)
  fc.assert(
    fc.property(fc.integer({ min: 1000, max: 2999 }), part, part, (year, month, day) => {
      const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
      const time = new Date(`${text}T00:00:00Z`)
      const isDate = !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text)
      return valueFormat('date')?.reads(text) === isDate
    }),
  )
})

t.test('a number of absurd length is refused at once, however it goes on', async (t) => {
  for (const type of ['double', 'float', 'decimal(38,10)', 'long']) {
    t.equal(valueFormat(type)?.reads(`${'0'.repeat(100_000)}x`), false)
    t.equal(valueFormat(type)?.reads(`1${'0'.repeat(100_000)}1`), false)
  }
})
