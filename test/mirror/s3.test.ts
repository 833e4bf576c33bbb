import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { linesOf } from '../delta-log/foreign-log.ts'
import { add } from '../support/api.ts'
import { startHttpProxy } from '../support/s3-proxy.ts'
import { startS3Server, withoutS3 } from '../support/s3-server.ts'
import { startTestServer } from '../support/server.ts'

t.test('a bucket that is away holds up no other store', { skip: withoutS3 }, async (t) => {
  const { server, buckets, makeTable, fault } = await serverOfBuckets(t)
  const [away, sound] = buckets
  const struck: string[] = []
  for (let number = 0; number < 6; number += 1) struck.push(await makeTable(away, number))
  const others = [await server.makeTable(), await makeTable(sound, 0)]
  for (const table of [...struck, ...others]) await server.published(table)
  const { end } = fault({
    on: ({ url }) => url.startsWith(`/${away}`),
    times: Number.POSITIVE_INFINITY,
    before: () => 'drop',
  })
  for (const table of struck) await server.commit(table, { actions: [add('a')] })
  while (!server.logged.some(({ msg }) => /left alone/.test(String(msg)))) await sleep(20)
  const { body } = await server.get('/health/ready')
  t.match(body, { status: 'ready', notes: [new RegExp(`the store s3://${away} `)] })
  for (const table of others) await server.commit(table, { actions: [add('a')] })
  for (const table of others) await server.published(table)
  const fresh = await makeTable(sound, 1)
  await server.published(fresh)
  t.match(await server.get(`/tables/${struck[0]}/mirror`), { body: { pending: 1 } })
  end()
  for (const table of struck) await server.published(table)
})

t.test('what others wrote to a bucket is found and taken in', { skip: withoutS3 }, async (t) => {
  const { server, buckets, makeTable, folder, fault } = await serverOfBuckets(t)
  const [bucket] = buckets
  const table = await makeTable(bucket, 0)
  await server.published(table)
  const path = `/tables/${table}/mirror/retry`
  const log = join(folder, bucket, 'table_0', '_delta_log')
  await mkdir(log, { recursive: true })
  const text = linesOf([{ commitInfo: { operation: 'WRITE' } }, add('theirs')]).join('\n')
  for (const version of [1, 2]) {
    await writeFile(join(log, commitFileName(version)), text.replace('theirs', `their ${version}`))
  }
  t.match(await server.post(path), {
    body: { state: 'forked', fork: { version: 1, theirs: { lastVersion: 2, sha256: String } } },
  })

  await t.test('but not while the bucket is away', async (t) => {
    const { end } = fault({
      on: () => true,
      times: Number.POSITIVE_INFINITY,
      before: () => 'drop',
    })
    const answer = await server.post(`${path}?policy=adopt`)
    t.match(answer, { status: 503, body: { code: 'storage-unavailable' } }, answer.text)
    end()
    t.match(await server.get(`/tables/${table}`), {
      body: { version: 0, mirror: { state: 'forked' } },
    })
  })

  t.match(await server.post(`${path}?policy=adopt`), {
    status: 200,
    body: { state: 'current', publishedVersion: 2 },
  })
  await server.commit(table, { expectedVersion: 3, actions: [add('ours')] })
  await server.published(table)
  const names = (await readdir(log)).filter((name) => name.endsWith('.json'))
  t.strictSame(names.sort(), [0, 1, 2, 3].map(commitFileName))
  t.match(await readFile(join(log, commitFileName(3)), 'utf8'), /"ours"/)
})

/** A server of tables in two buckets, which are reached through a proxy, and in folders. */
async function serverOfBuckets(t: Test) {
  const s3 = await startS3Server(t)
  const buckets = [await s3.makeBucket(), await s3.makeBucket()] as const
  const { endpoint, fault } = await startHttpProxy(t, s3.endpoint)
  const server = await startTestServer(t, {
    s3Endpoint: endpoint,
    s3Region: 'us-east-1',
    s3ForcePathStyle: true,
    s3AttemptsMax: 1,
    s3RequestMsMax: 5000,
    mirrorRoots: [...buckets.map((bucket) => `s3://${bucket}`), tmpdir()],
  })
  return {
    server,
    buckets,
    fault,
    folder: s3.folder,
    makeTable: (bucket: string, number: number) =>
      server.makeTable({ location: `s3://${bucket}/table_${number}` }),
  }
}
