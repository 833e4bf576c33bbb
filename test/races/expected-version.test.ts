import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { add } from '../support/api.ts'
import { isOfCommits } from '../support/log-names.ts'
import { startTestServer } from '../support/server.ts'

const writers = 200

t.test('of two hundred writers of one version exactly one wins, again and again', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  for (const version of [1, 2, 3]) {
    const answers = await Promise.all(
      Array.from({ length: writers }, (_, writer) =>
        server.commit(table, {
          expectedVersion: version,
          actions: [add(`v${version}-w${writer}`)],
        }),
      ),
    )
    const won = answers.filter(({ status }) => status === 201)
    const lost = answers.filter(({ status }) => status === 409)
    t.equal(won.length, 1)
    t.equal(lost.length, writers - 1)
    t.equal(won[0]?.body.version, version)
    for (const { body } of lost) {
      t.match(body, {
        code: 'version-conflict',
        expected: version,
        actual: version + 1,
        currentVersion: version,
        winner: { version, operation: 'WRITE' },
      })
    }
  }
  const history = await server.get(`/tables/${table}/commits`)
  t.strictSame(
    history.body.items.map((commit: { version: number }) => commit.version),
    [3, 2, 1, 0],
  )
  await server.published(table)
  const { body } = await server.get(`/tables/${table}`)
  const names = await readdir(join(body.location, '_delta_log'))
  t.strictSame(
    names.filter(isOfCommits).sort(),
    [0, 1, 2, 3].map((v) => `${String(v).padStart(20, '0')}.json`),
  )
})

t.test('two hundred writers that expect nothing all get a version of their own', async (t) => {
  const server = await startTestServer(t)
  const table = await server.makeTable()
  const answers = await Promise.all(
    Array.from({ length: writers }, (_, writer) =>
      server.commit(table, { actions: [add(`w${writer}`)] }),
    ),
  )
  const versions = answers.map(({ body }) => body.version).sort((a, b) => a - b)
  t.strictSame(
    versions,
    Array.from({ length: writers }, (_, index) => index + 1),
  )
  const { body } = await server.get(`/tables/${table}/files?limit=1000`)
  t.equal(body.items.length, writers)
})
