import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { type LogWriterLimits, openLogWriter } from '../../src/mirror/log-writer.ts'
import { Meetings } from '../../src/mirror/meetings.ts'
import { createLocalStorage } from '../../src/storage/local-folder.ts'

const plenty = { files: 10, chars: 1e6, ms: 60_000 }

t.test('all versions appear once no more lines come', async (t) => {
  const { folder, writer } = await openWriter(t, plenty)
  await writer.write(linesOf([0, 1, 2]))
  t.strictSame(await visible(folder), [])
  await writer.finish()
  t.equal(await writer.sync(), 2)
  t.strictSame(await visible(folder), [0, 1, 2].map(commitFileName))
})

t.test('a version may come in several pieces', async (t) => {
  const { folder, writer } = await openWriter(t, plenty)
  const [info, ...more] = linesOf([0, 0, 0])
  await writer.write(info === undefined ? [] : [info])
  await writer.write(more)
  await writer.finish()
  const text = await readFile(join(folder, commitFileName(0)), 'utf8')
  t.equal(text.split('\n').length, 4)
})

t.test('as many files are open as may be', async (t) => {
  const { folder, writer } = await openWriter(t, { ...plenty, files: 2 })
  await writer.write(linesOf([0, 1, 2]))
  t.strictSame(await visible(folder), [0, 1].map(commitFileName))
  t.equal((await readdir(folder)).length, 3)
})

t.test('as much is written as may be', async (t) => {
  const { folder, writer } = await openWriter(t, { ...plenty, chars: 1 })
  await writer.write(linesOf([0, 1]))
  t.strictSame(await visible(folder), [0].map(commitFileName))
})

t.test(
  'when its time is over it ends after the file at hand, and leaves nothing half done',
  async (t) => {
    const { folder, writer } = await openWriter(t, { ...plenty, files: 2, ms: -1 })
    await writer.write(linesOf([0, 1, 2, 3]))
    t.ok(writer.isStopped())
    await writer.write(linesOf([4]))
    await writer.finish()
    t.equal(await writer.sync(), 0)
    t.strictSame(await readdir(folder), [commitFileName(0)])
  },
)

t.test('files have the times of their versions, told by them or not', async (t) => {
  const { folder, writer, asked } = await openWriter(t, plenty)
  const line = '{"txn":{"appId":"a","version":1}}'
  const foreign = [1, 2].map((version) => ({ version, position: 0, line }))
  await writer.write([...linesOf([0]), ...foreign])
  await writer.write([{ version: 2, position: 1, line }, ...linesOf([3])])
  await writer.finish()
  t.strictSame(asked, [[1, 2]], 'asked once about those that do not tell')
  const times = [0, 1, 2, 3].map(async (version) => {
    const { mtimeMs } = await stat(join(folder, commitFileName(version)))
    return Math.round(mtimeMs) - timeOf(version)
  })
  t.strictSame(await Promise.all(times), [0, -1_000_000, -1_000_000, 0])
})

async function openWriter(t: Test, limits: LogWriterLimits) {
  const root = t.testdir({ log: {} })
  const folder = join(root, 'log')
  const asked: number[][] = []
  const findTimes = async (versions: readonly number[]) => {
    asked.push([...versions])
    return new Map(versions.map((version) => [version, timeOf(version) - 1_000_000]))
  }
  const turns = new Meetings(new Map()).turns('alone')
  const log = await createLocalStorage([root]).open(folder)
  const writer = openLogWriter(log, limits, { findTimes, turns })
  t.teardown(() => writer[Symbol.asyncDispose]())
  return { folder, writer, asked }
}

const timeOf = (version: number) => 1_795_000_000_000 + version

/** A line for each of the versions; the first of a version is its commitInfo. */
function linesOf(versions: readonly number[]) {
  return versions.map((version, position) => ({
    version,
    position,
    line: JSON.stringify({ commitInfo: { inCommitTimestamp: timeOf(version) } }),
  }))
}

async function visible(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort()
}
