import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'

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
