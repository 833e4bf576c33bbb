import t from 'tap'
import { bounds, column, keeps, literal, node, onData, onPartition } from './predicates/support.ts'

t.test('a time without a zone was written somewhere within 18 hours of UTC', async (t) => {
  const equal = (text: string) =>
    onPartition('timestamp', node('equal', column('p'), literal(text, 'timestamp')))
  for (const written of ['2024-01-02 00:00:00', '2024-01-02T00:00:00', '2024-01-02']) {
    const file = { partitionValues: { p: written } }
    for (const near of ['2024-01-01T06:00:00Z', '2024-01-02 00:00:00', '2024-01-02T18:00:00Z']) {
      t.ok(equal(near).couldMatch(file), `${written} may be ${near}`)
    }
    for (const far of ['2024-01-01T05:59:59.999999Z', '2024-01-02T18:00:00.000001Z']) {
      t.notOk(equal(far).couldMatch(file), `${written} is not ${far}`)
    }
  }
  const utc = { partitionValues: { p: '2024-01-02T00:00:00.000000Z' } }
  t.ok(equal('2024-01-02 00:00:00').couldMatch(utc), 'a literal without a zone is in UTC')
  t.ok(equal('2024-01-02T05:30:00+0530').couldMatch(utc))
  t.ok(equal('2024-01-01T16:00:00-08').couldMatch(utc))
  t.notOk(equal('2024-01-02T00:00:00.000001Z').couldMatch(utc))
})

t.test('a time may be later by what was cut off below the millisecond', async (t) => {
  for (const [type, zone] of [
    ['timestamp', 'Z'],
    ['timestamp_ntz', ''],
    ['timestamp_ntz', 'Z'],
  ] as const) {
    const stats = bounds(`"2024-01-01T00:00:00.123${zone}"`, `"2024-01-01T00:00:00.123${zone}"`)
    const end = type === 'timestamp' ? 'Z' : ''
    for (const [fraction, kept] of [
      ['122999', false],
      ['123000', true],
      ['123999', true],
      ['124000', false],
    ] as const) {
      const given = node(
        'equal',
        column('c'),
        literal(`2024-01-01 00:00:00.${fraction}${end}`, type),
      )
      t.equal(keeps(onData(type, given), stats), kept, `${type}${zone} ${fraction}`)
    }
    const exact = `"2024-01-01T00:00:00.123456${zone}"`
    const later = node(
      'greaterThan',
      column('c'),
      literal(`2024-01-01 00:00:00.123456${end}`, type),
    )
    t.equal(keeps(onData(type, later), bounds(exact, exact)), false, 'not cut')
  }
})

t.test('offsets and clocks of statistics are allowed for', async (t) => {
  const equal = (text: string) =>
    onData('timestamp', node('equal', column('c'), literal(text, 'timestamp')))
  const at = (text: string) => bounds(`"${text}"`, `"${text}"`)
  const cases = [
    ['2000-01-01T00:00:00.000-08:00', '2000-01-01T08:00:00Z', true],
    ['2000-01-01T00:00:00.000-08:00', '2000-01-01T00:00:00Z', false],
    ['1900-01-01T00:00:00.000+00:19', '1899-12-31T23:40:28Z', true],
    ['1900-01-01T00:00:00.000Z', '1899-12-31T23:59:28Z', false],
    ['2000-01-01T00:00:00.000', '2000-01-01T17:00:00Z', true],
    ['2000-01-01T00:00:00.000', '2000-01-01T19:00:00Z', false],
    ['yesterday', '2000-01-01T19:00:00Z', true],
  ] as const
  for (const [written, text, kept] of cases) {
    t.equal(keeps(equal(text), at(written)), kept, `${written} and ${text}`)
  }
  const local = node('equal', column('c'), literal('2024-01-01 00:00:00', 'timestamp_ntz'))
  const ntz = onData('timestamp_ntz', local)
  t.equal(keeps(ntz, at('2023-01-01T00:00:00+01:00')), true, 'a local time has no offset')
  t.equal(keeps(ntz, at('2024-01-01')), true, 'written when it was a date')
  t.equal(keeps(ntz, at('2023-12-31')), false, 'written when it was a date')
})
