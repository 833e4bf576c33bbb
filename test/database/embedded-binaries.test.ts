import { readlink, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { findBinaries, linkSharedLibraries } from '../../src/database/embedded-binaries.ts'

t.test('a platform without a PostgreSQL of ours is told of DATABASE_URL', async (t) => {
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
