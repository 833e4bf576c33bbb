import {
  chmod,
  chown,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { findBinaries } from '../../src/database/embedded-binaries.ts'
import { chooseRunAs, isReachable, spawnAs } from '../../src/database/embedded-user.ts'
import { makeScratch, query } from './embedded-scratch.ts'

const STRANGER = { uid: 4_000_000, gid: 4_000_000 }
const isRoot = process.getuid?.() === 0
const rootOnly = { skip: !isRoot && 'only root runs the database as another user' }
const linuxRootOnly = {
  skip:
    !(isRoot && process.platform === 'linux') && 'only root on Linux has capabilities to hand on',
}

t.test('a path is reachable when all its parents can be searched', async (t) => {
  const root = await mkdtemp('/tmp/deltaworks-test-')
  t.teardown(() => rm(root, { recursive: true }))
  const { uid, gid } = await stat(root)
  const path = join(root, 'file')
  const cases = [
    { mode: 0o755, stranger: true, group: true, owner: true },
    { mode: 0o711, stranger: true, group: true, owner: true },
    { mode: 0o750, stranger: false, group: true, owner: true },
    { mode: 0o700, stranger: false, group: false, owner: true },
    { mode: 0o744, stranger: false, group: false, owner: true },
    { mode: 0o701, stranger: true, group: false, owner: true },
    { mode: 0o611, stranger: true, group: true, owner: false },
  ]
  for (const { mode, ...expected } of cases) {
    await chmod(root, mode)
    const actual = {
      stranger: await isReachable(path, STRANGER),
      group: await isReachable(path, { ...STRANGER, gid }),
      owner: await isReachable(path, { ...STRANGER, uid }),
    }
    await chmod(root, 0o755)
    t.same(actual, expected, `mode ${mode.toString(8)}`)
  }
})

t.test(
  'a plain user runs the database as itself',
  { skip: isRoot && 'this is root' },
  async (t) => {
    const { folder, start } = await makeScratch(t)
    await start()
    t.equal((await stat(join(folder, 'postmaster.pid'))).uid, process.getuid?.())
  },
)

t.test('root runs the database as another user', rootOnly, async (t) => {
  const { folder, start } = await makeScratch(t)
  const { connection } = await start()
  t.not((await stat(join(folder, 'postmaster.pid'))).uid, 0)
  t.same(await query(connection, 'select 1'), [1])
})

t.test('root runs the database as the owner of the folder', rootOnly, async (t) => {
  const { folder, start } = await makeScratch(t)
  await mkdir(folder)
  await chown(folder, 1, 1)
  await start()
  t.equal((await stat(join(folder, 'postmaster.pid'))).uid, 1)
})

t.test('root runs the database in a folder closed to others', linuxRootOnly, async (t) => {
  const { root, folder, start } = await makeScratch(t)
  await chmod(root, 0o700)
  const { connection } = await start()
  t.not((await stat(join(folder, 'postmaster.pid'))).uid, 0)
  t.same(await query(connection, 'select 1'), [1])
  t.equal((await stat(root)).mode & 0o777, 0o700, 'which stays closed')
})

t.test('the capabilities that containers have by default suffice', linuxRootOnly, async (t) => {
  const { root, folder, spawnServer } = await makeScratch(t)
  await chmod(root, 0o700)
  const wrapper = ['setpriv', '--bounding-set=-dac_read_search,-sys_ptrace', '--']
  t.same(await query(await spawnServer({ wrapper }).ready, 'select 1'), [1])
  t.not((await stat(join(folder, 'postmaster.pid'))).uid, 0)
})

t.test('root without capabilities is told what to do', linuxRootOnly, async (t) => {
  const { root, spawnServer } = await makeScratch(t)
  await chmod(root, 0o700)
  const wrapper = ['setpriv', '--bounding-set=-dac_read_search,-dac_override', '--']
  await t.rejects(spawnServer({ wrapper }).ready, {
    message: /Move the project or DATA_DIR .* Set DATABASE_URL/,
  })
})

t.test('root that may not change the user is told what to do', linuxRootOnly, async (t) => {
  const { root, spawnServer } = await makeScratch(t)
  const wrapper = ['setpriv', '--bounding-set=-setuid,-setgid', '--']
  await t.rejects(spawnServer({ wrapper }).ready, {
    message: /may not change its user. Set DATABASE_URL/,
  })
  t.same(await readdir(root), [])
})

t.test(
  'programs in closed folders, or closed themselves, find each other',
  linuxRootOnly,
  async (t) => {
    const { root, folder } = await makeScratch(t)
    const { postgres } = await findBinaries()
    const copy = join(root, 'bin', 'postgres')
    await mkdir(dirname(copy))
    await copyFile(postgres, copy)
    await symlink(join(dirname(postgres), '..', 'lib'), join(root, 'lib'))
    t.notOk((await chooseRunAs(folder, copy))?.capability, 'none is taken without need')
    const cases = [
      { folderMode: 0o700, fileMode: 0o755, capability: 'dac_read_search' },
      { folderMode: 0o755, fileMode: 0o700, capability: 'dac_override' },
      { folderMode: 0o700, fileMode: 0o700, capability: 'dac_override' },
    ]
    for (const { folderMode, fileMode, capability } of cases) {
      await chmod(copy, fileMode)
      await chmod(root, folderMode)
      const runAs = await chooseRunAs(folder, copy)
      t.equal(runAs?.capability, capability)
      const child = spawnAs(runAs, [copy, '--version'], { stdio: ['ignore', 'pipe', 'pipe'] })
      const [said, complaint] = await Promise.all([child.stdout, child.stderr].map(read))
      t.match(said, /^postgres \(PostgreSQL\) 18/)
      t.equal(complaint, '')
    }
  },
)

async function read(stream: Readable | null): Promise<string> {
  return stream ? text(stream) : ''
}
