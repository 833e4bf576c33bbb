import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLocalStorage } from '../../src/storage/local-folder.ts'
import { checkFolders, contentOf, namesIn, put } from './folder-contract.ts'

const first = '00000000000000000000.json'

/** Opens a folder of this machine, which may be used. */
const openAt = (path: string) => createLocalStorage([join(path, '..')]).open(path)

t.test('a folder of this machine', (t) => checkFolders(t, (t) => openAt(join(t.testdir(), 'log'))))

t.test('a file has the time of its commit, and is never touched again', async (t) => {
  const path = t.testdir()
  const folder = await openAt(path)
  const file = await folder.begin(first)
  await file.append('{}\n')
  await file.seal(1_795_000_000_123)
  t.equal(await file.putIfAbsent(), 'put')
  await file.discard()
  t.strictSame(await readdir(path), [first])
  const before = await stat(join(path, first))
  t.equal(before.mtimeMs, 1_795_000_000_123)
  t.equal(await put(folder, first, '{}\n'), 'same')
  t.strictSame((await stat(join(path, first))).ino, before.ino)
})

t.test('what is half written has a name that readers pass over', async (t) => {
  const path = t.testdir()
  const folder = await openAt(path)
  const file = await folder.begin(first)
  await file.append('{"half')
  const [name = ''] = await readdir(path)
  t.match(name, /^\.deltaworks-00000000000000000000\.json-/)
  await file.discard()
  t.strictSame(await readdir(path), [])
})

t.test('a sweep leaves what others hide', async (t) => {
  const kept = { [first]: '{}\n', _last_checkpoint: '{}', '.00000000000000000000.json.crc': 'c' }
  const path = t.testdir(kept)
  const folder = await openAt(path)
  await (await folder.begin(first)).append('{"half')
  t.equal((await readdir(path)).length, 4)
  t.strictSame(await namesIn(folder), Object.keys(kept).sort())
  await folder.sweep(() => true)
  t.strictSame((await readdir(path)).sort(), Object.keys(kept).sort())
})

t.test('a folder is made with its first file, and not before', async (t) => {
  const root = t.testdir()
  const path = join(root, 'sales', 'orders', '_delta_log')
  const storage = createLocalStorage([root])
  const folder = await storage.open(path)
  t.equal(folder.location, path)
  await folder.sweep(() => true)
  t.strictSame(await namesIn(folder), [])
  t.strictSame(await readdir(root), [])
  await put(folder, first, '{}')
  await folder.sync()
  t.strictSame(await readdir(path), [first])
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
  const storage = createLocalStorage([allowed])
  for (const name of ['table', 'other', 'third']) {
    const opened = storage.open(join(allowed, name, '_delta_log'))
    await t.rejects(opened, { code: 'location-not-allowed' }, name)
  }
  t.strictSame(await readdir(forbidden), [])
})

t.test('a link within a folder is held to the same', async (t) => {
  const root = t.testdir({ log: {}, 'log-2': { a: 'ours' }, forbidden: { secret: 'theirs' } })
  const log = join(root, 'log')
  await symlink(join(root, '..'), join(log, 'up'))
  await symlink(join(root, 'log-2'), join(log, 'beside'))
  await symlink(join(root, 'log-2', 'a'), join(log, 'a'))
  await symlink(join(root, '..', 'b'), join(log, 'b'))
  await symlink('/etc/passwd', join(log, 'c'))
  const folder = await createLocalStorage([root]).open(log)
  t.equal(await contentOf(folder, 'a'), 'ours')
  t.equal(await contentOf(folder, 'beside/a'), 'ours')
  const refused = { code: 'location-not-allowed' }
  for (const name of ['b', 'c', 'up/x']) await t.rejects(folder.read(name), refused, name)
  await t.rejects(folder.begin('up/x'), refused)
  await t.rejects(folder.remove(['up/x']), refused)
})

t.test('a link that stays within the allowed folders is followed', async (t) => {
  const root = t.testdir({ disk: {} })
  await symlink(join(root, 'disk'), join(root, 'table'))
  const { location } = await createLocalStorage([root]).open(join(root, 'table', '_delta_log'))
  t.equal(location, join(root, 'disk', '_delta_log'))
})

t.test('a file in the place of the folder is told, and not removed', async (t) => {
  const path = join(t.testdir({ table: {} }), 'table', '_delta_log')
  await writeFile(path, 'Dear reader')
  const folder = await openAt(path)
  const refused = { code: 'location-not-allowed', message: /not a folder/ }
  await t.rejects(put(folder, first, '{}'), refused)
  await t.rejects(namesIn(folder), refused)
  t.equal(await readFile(path, 'utf8'), 'Dear reader')
})

t.test('what is no file is not read as one', async (t) => {
  const path = t.testdir({ folder: {} })
  execFileSync('mkfifo', [join(path, 'pipe')])
  const folder = await openAt(path)
  for (const name of ['folder', 'pipe']) {
    await t.rejects(folder.read(name), { name: 'FileMissingError' })
    t.equal(await folder.size(name), undefined)
  }
  t.strictSame(await namesIn(folder), [])
})
