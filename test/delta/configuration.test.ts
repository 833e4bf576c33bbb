import t from 'tap'
import { configurationFaults } from '../../src/delta/configuration.ts'
import { faultsMax } from '../../src/delta/faults.ts'

t.test('properties that Delta knows have values that it can read', async (t) => {
  const cases: readonly [key: string, good: string[], bad: string[]][] = [
    ['delta.appendOnly', ['true', 'false'], ['TRUE', 'yes', '', '1']],
    ['delta.enableChangeDataFeed', ['true'], ['on']],
    ['delta.enableDeletionVectors', ['false'], ['0']],
    ['delta.checkpointInterval', ['1', '2147483647'], ['0', '-1', '1.5', 'ten', '2147483648', '']],
    ['delta.dataSkippingNumIndexedCols', ['-1', '32'], ['-2']],
    [
      'delta.inCommitTimestampEnablementVersion',
      ['0', '9223372036854775807'],
      ['9223372036854775808'],
    ],
    ['delta.columnMapping.mode', ['none', 'name', 'id'], ['Name', 'off']],
    ['delta.checkpointPolicy', ['classic', 'v2'], ['V2', '']],
    ['delta.isolationLevel', ['Serializable', 'WriteSerializable'], ['SnapshotIsolation']],
    [
      'delta.logRetentionDuration',
      ['interval 30 days', '2 weeks', 'INTERVAL 1 DAY 12 hours', '1 microsecond'],
      ['1 month', '30', 'interval', 'days', '-1 days'],
    ],
    ['delta.minReaderVersion', ['1', '3'], ['0', '4', 'x']],
    ['delta.minWriterVersion', ['1', '7'], ['0', '8']],
    ['delta.feature.deletionVectors', ['supported', 'enabled'], ['true', '']],
  ]
  for (const [key, good, bad] of cases) {
    for (const value of good) t.same(configurationFaults({ [key]: value }), [], `${key} ${value}`)
    for (const value of bad) {
      const [fault] = configurationFaults({ [key]: value })
      t.equal(fault?.pointer, `/configuration/${key}`, `${key} ${value}`)
      t.match(fault?.message, `must be`)
      t.match(fault?.message, `not ${JSON.stringify(value)}`)
    }
  }
})

t.test('properties that Delta does not know are kept', async (t) => {
  const configuration = {
    owner: 'me',
    'delta.targetFileSize': '1gb',
    'delta.constraints.positive': 'id > 0',
    'delta.universalFormat.enabledFormats': 'iceberg',
    constructor: 'x',
  }
  t.same(configurationFaults(configuration), [])
})

t.test('a known property in other letters is refused with the right spelling', async (t) => {
  const [fault] = configurationFaults({ 'delta.appendonly': 'true' })
  t.equal(fault?.message, '"delta.appendonly" is not known to Delta; write it delta.appendOnly')
})

t.test('texts that the database cannot keep are refused', async (t) => {
  t.match(configurationFaults({ a: '\0' }), [{ pointer: '/configuration/a', message: /NUL/ }])
  t.match(configurationFaults({ 'a\ud800': '' }), [{ message: /surrogate/ }])
})

t.test('pointers are escaped and faults are bounded', async (t) => {
  t.equal(configurationFaults({ 'a/~\0': '' })[0]?.pointer, '/configuration/a~1~0\0')
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, '\0']))
  t.equal(configurationFaults(many).length, faultsMax)
})
