import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  beginLogFile,
  openLogFolder,
  type PendingLogFile,
  sweepLogFolder,
} from '../../src/mirror/log-folder.ts'

const first = '00000000000000000000.json'

t.test('a file appears whole, once it is published, with the time of its commit', async (t) => {
  const folder = t.testdir()
  const file = await beginLogFile(folder, 0)
  await file.append('{"commitInfo":{}}\n')
  await file.append('{"protocol":{}}\n')
  t.strictSame(await visible(folder), [], 'readers pass over the name it has until then')
  t.equal(await publish(file, 1_795_000_000_123), 'published')
  t.strictSame(await readdir(folder), [first])
  t.equal(await readFile(join(folder, first), 'utf8'), '{"commitInfo":{}}\n{"protocol":{}}\n')
  t.equal((await stat(join(folder, first))).mtimeMs, 1_795_000_000_123)
})

t.test('a file with the same bytes that is there already is taken as published', async (t) => {
  const text = 'x'.repeat(200_000)
  const folder = t.testdir({ [first]: text })
  const { ino } = await stat(join(folder, first))
  const file = await beginLogFile(folder, 0)
  await file.append(text)
  t.equal(await publish(file, 0), 'published')
  t.strictSame(await readdir(folder), [first])
  t.equal((await stat(join(folder, first))).ino, ino)
})

const same = 'x'.repeat(70_000)
const others = {
  shorter: same.slice(1),
  longer: `${same}x`,
  'different in the last byte': `${same.slice(1)}y`,
  empty: '',
}

for (const [kind, there] of Object.entries(others)) {
  t.test(`a file that is there and ${kind} is a fork and left alone`, async (t) => {
    const folder = t.testdir({ [first]: there })
    const file = await beginLogFile(folder, 0)
    await file.append(same)
    t.equal(await publish(file, 0), 'forked')
    t.strictSame(await readdir(folder), [first])
    t.equal(await readFile(join(folder, first), 'utf8'), there)
  })
}

t.test('a file that is given up leaves nothing', async (t) => {
  const folder = t.testdir()
  const file = await beginLogFile(folder, 0)
  await file.append('{}')
  await file.discard()
  t.strictSame(await readdir(folder), [])
})

t.test('two publishers of one version never share a half-written file', async (t) => {
  const folder = t.testdir()
  const slow = await beginLogFile(folder, 0)
  await slow.append('{"commitInfo":{}}\n')
  const fast = await beginLogFile(folder, 0)
  await fast.append('{"commitInfo"')
  t.equal(await publish(slow, 0), 'published')
  t.equal(await readFile(join(folder, first), 'utf8'), '{"commitInfo":{}}\n')
  await fast.append(':{}}\n')
  t.equal(await publish(fast, 0), 'published')
  t.equal(await readFile(join(folder, first), 'utf8'), '{"commitInfo":{}}\n')
  t.strictSame(await readdir(folder), [first])
})

t.test('a sweep removes what a crash left, and nothing else', async (t) => {
  const kept = { [first]: '{}\n', _last_checkpoint: '{}', '.00000000000000000000.json.crc': 'c' }
  const folder = t.testdir(kept)
  const file = await beginLogFile(folder, 1)
  await file.append('{"half')
  t.equal((await readdir(folder)).length, 4)
  await sweepLogFolder(folder)
  t.strictSame((await readdir(folder)).sort(), Object.keys(kept).sort())
  await t.rejects(publish(file, 0), { code: 'ENOENT' }, 'whoever lost its file publishes nothing')
  t.strictSame((await readdir(folder)).sort(), Object.keys(kept).sort())
})

t.test('the folder is made where it is not there yet', async (t) => {
  const root = t.testdir()
  const folder = await openLogFolder(join(root, 'sales', 'orders'), [root])
  t.equal(folder, join(root, 'sales', 'orders', '_delta_log'))
  t.strictSame(await readdir(folder), [])
})

t.test('a link that leads out of the allowed folders is not written through', async (t) => {
  const root = t.testdir({ allowed: {}, forbidden: {} })
  const allowed = join(root, 'allowed')
  const forbidden = join(root, 'forbidden')
  await symlink(forbidden, join(allowed, 'table'))
  await mkdir(join(allowed, 'other'))
  await symlink(forbidden, join(allowed, 'other', '_delta_log'))
  await mkdir(join(allowed, 'third'))
  await symlink(join(forbidden, 'absent'), join(allowed, 'third', '_delta_log'))
  for (const name of ['table', 'other', 'third']) {
    await t.rejects(openLogFolder(join(allowed, name), [allowed]), { code: 'location-not-allowed' })
  }
  t.strictSame(await readdir(forbidden), [])
})

t.test('a link that stays within the allowed folders is followed', async (t) => {
  const root = t.testdir({ disk: {} })
  await symlink(join(root, 'disk'), join(root, 'table'))
  t.equal(await openLogFolder(join(root, 'table'), [root]), join(root, 'disk', '_delta_log'))
})

t.test('a file in the place of the folder is told, and not removed', async (t) => {
  const root = t.testdir({ table: {} })
  await writeFile(join(root, 'table', '_delta_log'), 'Dear reader')
  await t.rejects(openLogFolder(join(root, 'table'), [root]), { code: 'EEXIST' })
  t.equal(await readFile(join(root, 'table', '_delta_log'), 'utf8'), 'Dear reader')
})

async function publish(file: PendingLogFile, inCommitTimestamp: number) {
  try {
    await file.seal(inCommitTimestamp)
    return await file.link()
  } finally {
    await file.discard()
  }
}

/** What a reader of the log takes notice of. */
async function visible(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('.'))
}
