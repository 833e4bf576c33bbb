import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../src/config.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import { startS3Server, withoutS3 } from '../support/s3-server.ts'
import { checkFolders, contentOf, namesIn, put } from './folder-contract.ts'

const first = '00000000000000000000.json'

t.test('a place in a bucket', { skip: withoutS3 }, async (t) => {
  const server = await startS3Server(t)
  const bucket = await server.makeBucket()
  const storage = createStorage(loadConfig({ ...server.env, MIRROR_ROOTS: `s3://${bucket}/data` }))
  const open = () => storage.open(`s3://${bucket}/data/${randomUUID()}/_delta_log`)

  await checkFolders(t, open)

  await t.test('is not confused with one whose name begins the same', async (t) => {
    const one = await storage.open(`s3://${bucket}/data/orders`)
    const other = await storage.open(`s3://${bucket}/data/orders-old`)
    await put(one, first, 'one')
    await put(other, first, 'other')
    await (await one.begin('x')).append(Buffer.alloc(9 * 1024 * 1024))
    const kept = await other.begin('x')
    await kept.append(Buffer.alloc(9 * 1024 * 1024))
    await one.sweep(() => true)
    t.strictSame(await namesIn(one), [first])
    t.equal(await contentOf(one, first), 'one')
    await kept.seal()
    t.equal(await kept.putIfAbsent(), 'put')
  })

  await t.test('lists more files than one answer holds', async (t) => {
    const folder = await open()
    const names = Array.from(
      { length: 1100 },
      (_, index) => `${String(index).padStart(20, '0')}.json`,
    )
    for (let at = 0; at < names.length; at += 50) {
      await Promise.all(names.slice(at, at + 50).map((name) => put(folder, name, name)))
    }
    t.strictSame(await namesIn(folder), names)
    t.strictSame(await namesIn(folder, { startAfter: names[1049] ?? '' }), names.slice(1050))
    await folder.remove(names)
    t.strictSame(await namesIn(folder), [])
  })

  await t.test('holds nothing in sight but the files', async (t) => {
    const folder = await open()
    const file = await folder.begin(first)
    await file.append(Buffer.alloc(20 * 1024 * 1024))
    await file.discard()
    await folder.sweep(() => true)
    await put(folder, first, 'a')
    const path = join(server.folder, folder.location.slice('s3://'.length))
    t.strictSame(await readdir(path), [first])
  })
})
