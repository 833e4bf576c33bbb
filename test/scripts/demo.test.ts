import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Expected } from '../../scripts/demo/ledger.ts'
import { isOfCommits } from '../support/log-names.ts'

const program = fileURLToPath(new URL('../../scripts/demo.ts', import.meta.url))
const play = (folder: string) =>
  promisify(execFile)(process.execPath, [program, '--keep', folder], { timeout: 120_000 })

t.test('the demo plays from start to end and keeps what it says', async (t) => {
  const folder = t.testdir()
  const { stdout } = await play(folder)
  const { table, versions }: Expected = JSON.parse(
    await readFile(join(folder, 'expected.json'), 'utf8'),
  )
  const count = (operation: string) =>
    versions.filter((version) => version.operation === operation).length
  t.strictSame(
    ['CREATE TABLE', 'WRITE', 'DELETE', 'ADD COLUMNS', 'OPTIMIZE'].map(count),
    [1, 14, 1, 1, 1],
  )
  t.equal(versions[8]?.rows.length, 32, 'eight appends of four orders')
  t.equal(versions[17]?.rows.length, 55, 'fourteen appends of four orders, one order deleted')
  t.notOk(versions[17]?.rows.some(({ id }) => id === '100'))
  t.equal(versions[17]?.columns.at(-1)?.name, 'coupon')

  const log = await readdir(join(table.location, '_delta_log'))
  const files = versions.map(({ version }) => `${String(version).padStart(20, '0')}.json`)
  t.strictSame(log.filter(isOfCommits).toSorted(), files)
  t.match(stdout, /Idempotency-Replayed: true/)
  t.match(stdout, /"code": "version-conflict"/)
  t.match(stdout, /"state": "current", "publishedVersion": 17, "pending": 0/)
})

t.test('the demo leaves a folder that holds something alone', async (t) => {
  const folder = t.testdir({ 'mine.txt': 'precious' })
  await t.rejects(play(folder), { code: 1, stderr: /is not empty/ })
  t.strictSame(await readdir(folder), ['mine.txt'])
})
