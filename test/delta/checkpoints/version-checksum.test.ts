import t from 'tap'
import {
  checksumLengthMax,
  type VersionTotals,
  versionChecksumText,
} from '../../../src/delta/checkpoints/version-checksum.ts'

const timestamps = '"delta.enableInCommitTimestamps":"true"'
const metaData = (configuration: string) =>
  `{"metaData":{"id":"i","schemaString":"{\\"a\\":9007199254740993}","configuration":{${configuration}}}}`

const totals: VersionTotals = {
  numFiles: 2,
  sizeInBytes: 9_007_199_254_740_993n,
  inCommitTimestamp: 17,
  commitInfo: '{"commitInfo":{"inCommitTimestamp":17,"txnId":"t"}}',
  protocol: '{"protocol":{"minReaderVersion":1,"minWriterVersion":7}}',
  metaData: metaData(timestamps),
  txns: ['{"txn":{"appId":"a","version":9007199254740993}}'],
  domains: [],
}

t.test('a checksum repeats what the log says, token for token', async (t) => {
  t.equal(
    versionChecksumText(totals),
    '{"txnId":"t","tableSizeBytes":9007199254740993,"numFiles":2,"numMetadata":1,"numProtocol":1,"inCommitTimestampOpt":17,"setTransactions":[{"appId":"a","version":9007199254740993}],"domainMetadata":[],"metadata":{"id":"i","schemaString":"{\\"a\\":9007199254740993}","configuration":{"delta.enableInCommitTimestamps":"true"}},"protocol":{"minReaderVersion":1,"minWriterVersion":7}}',
  )
})

t.test('what is not known, or not on, is left out', async (t) => {
  const text = versionChecksumText({
    ...totals,
    commitInfo: null,
    metaData: metaData(''),
    txns: undefined,
    domains: undefined,
  })
  t.strictSame(Object.keys(JSON.parse(text ?? '')), [
    'tableSizeBytes',
    'numFiles',
    'numMetadata',
    'numProtocol',
    'metadata',
    'protocol',
  ])
})

t.test('one that would be too long is not written', async (t) => {
  const long = `"a":"${'x'.repeat(checksumLengthMax)}"`
  t.equal(versionChecksumText({ ...totals, metaData: metaData(long) }), undefined)
})
