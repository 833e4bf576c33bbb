import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { readLog } from '../faults/table-end.ts'
import { add, plainSchema } from '../support/api.ts'
import { secret, withoutS3 } from '../support/s3-server.ts'
import { startOnS3 } from '../support/server-on-s3.ts'

const ndjson = { accept: 'application/x-ndjson' }

t.test('tables in S3', { skip: withoutS3 }, async (t) => {
  const { server, proxy, folder, root, folderOf } = await startOnS3(t)
  const table = await server.makeTable({ name: 'orders', location: `${root}/orders/` })
  const log = folderOf('orders/_delta_log')

  await t.test('have their commits published there, byte for byte', async (t) => {
    for (const file of ['a', 'b', 'c']) await server.commit(table, { actions: [add(file)] })
    await server.published(table)
    const { body } = await server.get(`/tables/${table}`)
    t.equal(body.location, `${root}/orders`)
    const files = await readLog(log)
    t.strictSame([...files.keys()], [0, 1, 2, 3].map(commitFileName))
    for (const [version, text] of [...files.values()].entries()) {
      const lines = await server.get(`/tables/${table}/commits/${version}`, ndjson)
      t.equal(text, lines.text)
    }
  })

  await t.test('have checkpoints there', async (t) => {
    t.match(await server.post(`/tables/${table}/mirror/checkpoint`), { status: 200 })
    const { version } = JSON.parse(await readFile(join(log, '_last_checkpoint'), 'utf8'))
    t.equal(version, 3)
    t.ok((await readdir(log)).some((name) => name.endsWith('.checkpoint.parquet')))
  })

  await t.test('are not made where they must not be', async (t) => {
    const make = (location: string) =>
      server.post('/tables', { name: 'x', schema: plainSchema, location })
    const refused = { status: 422, body: { code: 'location-not-allowed' } }
    t.match(await make('s3://another-bucket/orders'), refused)
    t.match(await make(root), refused, 'the root itself')
    t.match(await make(`${root}/../orders`), refused)
    const taken = { status: 409, body: { code: 'location-taken' } }
    t.match(await make(`${root}/orders`), taken)
    t.match(await make(`${root}/orders/inside`), taken)
    await mkdir(folderOf('foreign/_delta_log'), { recursive: true })
    await writeFile(folderOf(`foreign/_delta_log/${commitFileName(0)}`), '{}\n')
    t.match(await make(`${root}/foreign`), taken)
  })

  await t.test('wait while S3 is away, and nothing secret is told', async (t) => {
    const away = proxy.fault({ on: () => true, times: 1e6, before: () => 'drop' })
    const made = await server.post('/tables', {
      name: 'y',
      schema: plainSchema,
      location: `${root}/y`,
    })
    t.match(made, { status: 503, body: { code: 'storage-unavailable' } })
    t.ok(made.headers.get('retry-after'))
    await server.commit(table, { actions: [add('e')] })
    const local = await server.makeTable({ location: `${folder}/local` })
    await server.published(local)
    const mirror = await until(async () => {
      const { body } = await server.get(`/tables/${table}/mirror`)
      return body.lastError === undefined ? undefined : body
    })
    t.match(mirror, { publishedVersion: 3, pending: 1, lastError: /did not succeed: E/ })
    away.end()
    await server.post(`/tables/${table}/mirror/retry`)
    await server.published(table)
    t.equal((await readLog(log)).size, 5)
    const { text: metrics } = await server.get('/metrics')
    t.notMatch([JSON.stringify(server.logged), metrics, made.text].join(), secret)
  })
})

async function until<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const value = await look()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
