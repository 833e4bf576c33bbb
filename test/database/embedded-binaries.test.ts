import { readdir, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findBinaries, linkSharedLibraries } from '../../src/database/embedded-binaries.ts'
import { createCluster } from '../../src/database/embedded-cluster.ts'
import { makeScratch } from './embedded-scratch.ts'

t.test('a platform without a package leads to DATABASE_URL', async (t) => {
  await t.rejects(findBinaries('plan9-mips'), {
    message: /no embedded PostgreSQL for plan9-mips.*DATABASE_URL/,
  })
})

t.test('links that a skipped install script left out are made', async (t) => {
  const packageFolder = t.testdir({
    native: {
      lib: { 'libicu.so.60.2': 'the library' },
      'pg-symlinks.json': JSON.stringify([
        { source: 'native/lib/libicu.so.60.2', target: 'native/lib/libicu.so' },
        { source: 'native/lib/libicu.so.60.2', target: 'native/lib/libicu.so.60' },
      ]),
    },
  })
  const library = join(packageFolder, 'native', 'lib')
  await symlink('libicu.so.60.2', join(library, 'libicu.so'))
  await Promise.all([linkSharedLibraries(packageFolder), linkSharedLibraries(packageFolder)])
  for (const name of ['libicu.so', 'libicu.so.60']) {
    t.equal(await readlink(join(library, name)), 'libicu.so.60.2')
  }
})

t.test('a package without links needs none', async (t) => {
  await t.resolves(linkSharedLibraries(t.testdir({ native: {} })))
})

t.test('programs that this system cannot run lead to DATABASE_URL', async (t) => {
  const { root, folder } = await makeScratch(t)
  const initdb = join(root, 'initdb')
  await writeFile(initdb, '#!/no/such/loader', { mode: 0o755 })
  await t.rejects(createCluster({ folder, initdb, runAs: undefined, sync: false }), {
    message: /initdb does not run on this system .* Set DATABASE_URL/,
  })
  t.same(await readdir(root), ['initdb'], 'and nothing is left behind')
})
