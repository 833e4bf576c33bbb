import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Folder, ListOptions, PendingFile } from '../../src/storage/storage.ts'

const first = '00000000000000000000.json'
const second = '00000000000000000001.json'
const sidecar = '_sidecars/a.parquet'
const megabyte = 1024 * 1024

/** What every store must hold to. `open` answers an empty folder, of a name of its own. */
export async function checkFolders(t: Test, open: (t: Test) => Promise<Folder>): Promise<void> {
  await t.test('a file appears whole, once it is put', async (t) => {
    const folder = await open(t)
    const file = await folder.begin(first)
    await file.append('{"commitInfo":{}}\n')
    await file.append(Buffer.from('{"protocol":{}}\n'))
    t.strictSame(await namesIn(folder), [], 'nobody sees it until then')
    t.equal(await folder.size(first), undefined)
    await file.seal(1_795_000_000_123)
    t.strictSame(await namesIn(folder), [])
    t.equal(await file.putIfAbsent(), 'put')
    t.strictSame(await namesIn(folder), [first])
    await file.discard()
    await folder.sync()
    t.strictSame(await namesIn(folder), [first])
    t.equal(await contentOf(folder, first), '{"commitInfo":{}}\n{"protocol":{}}\n')
    t.equal(await folder.size(first), 34)
  })

  const same = 'x'.repeat(70_000)
  const contents = {
    'with the same bytes': same,
    shorter: same.slice(1),
    longer: `${same}x`,
    'different in the last byte': `${same.slice(1)}y`,
    empty: '',
  }
  for (const [kind, there] of Object.entries(contents)) {
    await t.test(`a file that is there and ${kind} is told and left alone`, async (t) => {
      const folder = await open(t)
      t.equal(await put(folder, first, there), 'put')
      t.equal(await put(folder, first, same), there === same ? 'same' : 'other')
      t.strictSame(await namesIn(folder), [first])
      t.equal(await contentOf(folder, first), there)
    })
  }

  await t.test('a large file is written, compared and read piece by piece', async (t) => {
    const folder = await open(t)
    const pieces = [5, 11, 3].map((megabytes, index) =>
      Buffer.alloc(megabytes * megabyte, `${index}abcdefg`),
    )
    const whole = Buffer.concat(pieces)
    t.equal(await put(folder, first, ...pieces), 'put')
    t.equal(await put(folder, first, whole), 'same', 'however it is cut')
    const other = Buffer.from(whole)
    other[other.length - 1] = 0
    t.equal(await put(folder, first, other), 'other')
    const chunks: Buffer[] = []
    for await (const chunk of await folder.read(first)) chunks.push(chunk)
    t.ok(Buffer.concat(chunks).equals(whole))
    const end = await text(await folder.read(first, { start: whole.length - 4, end: 2 ** 30 }))
    t.equal(end, whole.subarray(-4).toString())
    await replace(folder, first, other)
    t.equal(await put(folder, first, whole), 'other')
  })

  await t.test('of many who put a file at once one does, and the others are told', async (t) => {
    const folder = await open(t)
    const ends = await Promise.all(
      Array.from({ length: 12 }, (_, index) => put(folder, first, `writer ${index % 3}`)),
    )
    t.equal(ends.filter((end) => end === 'put').length, 1)
    t.equal(ends.filter((end) => end === 'same').length, 3)
    t.equal(ends.filter((end) => end === 'other').length, 8)
    const winner = ends.indexOf('put')
    t.equal(await contentOf(folder, first), `writer ${winner % 3}`)
  })

  await t.test('two writers of one file never share what is half written', async (t) => {
    const folder = await open(t)
    const slow = await folder.begin(first)
    await slow.append('{"commitInfo":{}}\n')
    const fast = await folder.begin(first)
    await fast.append('{"commitInfo"')
    t.equal(await finish(slow), 'put')
    t.equal(await contentOf(folder, first), '{"commitInfo":{}}\n')
    await fast.append(':{}}\n')
    t.equal(await finish(fast), 'same')
    t.strictSame(await namesIn(folder), [first])
  })

  await t.test('a file is replaced whole', async (t) => {
    const folder = await open(t)
    await replace(folder, '_last_checkpoint', '{"version":1}')
    t.equal(await contentOf(folder, '_last_checkpoint'), '{"version":1}')
    await replace(folder, '_last_checkpoint', '{}')
    t.equal(await contentOf(folder, '_last_checkpoint'), '{}')
    t.strictSame(await namesIn(folder), ['_last_checkpoint'])
  })

  await t.test('a file that is given up leaves nothing', async (t) => {
    const folder = await open(t)
    const file = await folder.begin(first)
    await file.append(Buffer.alloc(9 * megabyte))
    await file.discard()
    await file.discard()
    t.strictSame(await namesIn(folder), [])
  })

  await t.test('files are listed in order, by prefix, from a name on', async (t) => {
    const folder = await open(t)
    t.strictSame(await namesIn(folder, { prefix: '_sidecars/' }), [])
    for (const name of [second, sidecar, '_last_checkpoint', first]) await put(folder, name, name)
    t.strictSame(await namesIn(folder), [first, second, '_last_checkpoint'])
    t.strictSame(await namesIn(folder, { prefix: '_sidecars/' }), [sidecar])
    t.strictSame(await namesIn(folder, { prefix: '_sidecars/b' }), [])
    t.strictSame(await namesIn(folder, { prefix: '0000' }), [first, second])
    t.strictSame(await namesIn(folder, { startAfter: first }), [second, '_last_checkpoint'])
    t.strictSame(await namesIn(folder, { prefix: '0', startAfter: second }), [])
    const before = Date.now() - 600_000
    for await (const { size, modifiedAt } of folder.list({ prefix: second })) {
      t.equal(size, second.length)
      t.ok(modifiedAt > before, String(modifiedAt))
    }
    t.equal(await contentOf(folder, sidecar), sidecar)
    t.equal(await folder.size(sidecar), sidecar.length)
  })

  await t.test('files are removed, there or not', async (t) => {
    const folder = await open(t)
    for (const name of [first, second, sidecar]) await put(folder, name, name)
    await folder.remove([first, sidecar, 'absent', 'no-folder/absent'])
    await folder.sync()
    t.strictSame(await namesIn(folder), [second])
    t.strictSame(await namesIn(folder, { prefix: '_sidecars/' }), [])
    await folder.remove([])
  })

  await t.test('what is not there is told as missing', async (t) => {
    const folder = await open(t)
    const missing = { name: 'FileMissingError' }
    await t.rejects(folder.read(first), missing)
    await t.rejects(folder.read(first, { start: 0, end: 4 }), missing)
    t.equal(await folder.size(first), undefined)
    t.equal(await folder.size(sidecar), undefined)
    t.strictSame(await namesIn(folder), [])
    await put(folder, second, 'there')
    await t.rejects(folder.read(first), missing)
  })

  await t.test('bytes are read by range', async (t) => {
    const folder = await open(t)
    await put(folder, first, '0123456789')
    const range = async (start: number, end: number) =>
      text(await folder.read(first, { start, end }))
    t.equal(await range(0, 4), '0123')
    t.equal(await range(6, 10), '6789')
    t.equal(await range(8, 100), '89')
    t.equal(await range(3, 3), '')
  })

  await t.test('names that lead elsewhere are no names', async (t) => {
    const folder = await open(t)
    for (const name of ['../a', 'a/../b', '..', 'a/b/c', '/a', './a', '']) {
      await t.rejects(folder.begin(name), /not the name of a file/, name)
      await t.rejects(folder.read(name), /not the name of a file/, name)
      await t.rejects(folder.size(name), /not the name of a file/, name)
      await t.rejects(folder.remove([name]), /not the name of a file/, name)
    }
  })

  await t.test('a sweep removes what stopped writers left, of the names wanted', async (t) => {
    const folder = await open(t)
    await put(folder, first, 'kept')
    const left = await folder.begin(second)
    const other = await folder.begin(sidecar)
    for (const file of [left, other]) await file.append(Buffer.alloc(9 * megabyte, 'half'))
    await folder.sweep((name) => name === second)
    await t.rejects(finish(left), 'whoever lost its file puts nothing')
    t.equal(await finish(other), 'put')
    t.strictSame(await namesIn(folder), [first])
    await folder.sweep(() => true)
    t.strictSame(await namesIn(folder), [first])
    t.strictSame(await namesIn(folder, { prefix: '_sidecars/' }), [sidecar])
  })
}

/** Writes a file in pieces and puts it. */
export async function put(folder: Folder, name: string, ...pieces: (string | Uint8Array)[]) {
  const file = await folder.begin(name)
  for (const piece of pieces) await file.append(piece)
  return finish(file)
}

async function replace(folder: Folder, name: string, bytes: string | Uint8Array): Promise<void> {
  const file = await folder.begin(name)
  await file.append(bytes)
  await file.seal()
  await file.replace()
  await file.discard()
}

async function finish(file: PendingFile) {
  try {
    await file.seal()
    return await file.putIfAbsent()
  } finally {
    await file.discard()
  }
}

export async function contentOf(folder: Folder, name: string): Promise<string> {
  return text(await folder.read(name))
}

export async function namesIn(folder: Folder, options?: ListOptions): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of folder.list(options)) names.push(name)
  return names
}
