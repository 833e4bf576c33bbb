import t from 'tap'
import {
  checkpointFileName,
  checksumFileName,
  commitFileName,
  parseLogFileName,
  uuidCheckpointFileName,
} from '../../src/delta/log-files.ts'

t.test('a commit file is named by its version in twenty digits', async (t) => {
  t.equal(commitFileName(0), '00000000000000000000.json')
  t.equal(commitFileName(1234), '00000000000000001234.json')
  t.equal(commitFileName(Number.MAX_SAFE_INTEGER), '00009007199254740991.json')
})

t.test('names sort as their versions do', async (t) => {
  const versions = [0, 1, 9, 10, 99, 100, 1e6, 2 ** 40]
  const names = versions.map(commitFileName)
  t.strictSame([...names].sort(), names)
})

t.test('what a name was made for is read from it', async (t) => {
  const uuid = '0e5f4f0c-5f0b-4b4e-9c53-1c2f6f3f8a31'
  t.strictSame(parseLogFileName(commitFileName(7)), { kind: 'commit', version: 7 })
  t.strictSame(parseLogFileName(checksumFileName(7)), { kind: 'checksum', version: 7 })
  const checkpoint = { kind: 'checkpoint', version: 7 }
  t.strictSame(parseLogFileName(checkpointFileName(7)), { ...checkpoint, form: 'classic' })
  t.strictSame(parseLogFileName(uuidCheckpointFileName(7, uuid)), {
    ...checkpoint,
    form: 'parquet',
  })
})

t.test('names that others write are read', async (t) => {
  const of = (rest: string) => parseLogFileName(`00000000000000000012.${rest}`)
  t.strictSame(of('checkpoint.0e5f4f0c.json'), { kind: 'checkpoint', form: 'json', version: 12 })
  t.strictSame(of('checkpoint.0000000002.0000000003.parquet'), {
    kind: 'checkpoint',
    form: 'part',
    version: 12,
    part: 2,
    parts: 3,
  })
  t.strictSame(of('00000000000000000015.compacted.json'), {
    kind: 'compaction',
    version: 15,
    from: 12,
  })
})

const unknown = [
  '',
  '12.json',
  '_last_checkpoint',
  '.00000000000000000012.json.crc',
  '00000000000000000012.json.tmp',
  '00000000000000000012.checkpoint',
  '00000000000000000012.checkpoint.0000000000.0000000003.parquet',
  '00000000000000000012.checkpoint.0000000004.0000000003.parquet',
  '00000000000000000012.00000000000000000012.compacted.json',
  '99999999999999999999.json',
  '00000000000000000012.JSON',
  '00000000000000000012.json\n',
]

for (const name of unknown) {
  t.equal(parseLogFileName(name), undefined, JSON.stringify(name))
}
