import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import type { Folder } from '../../src/storage/storage.ts'
import { type Fault, type Passing, startHttpProxy } from '../support/s3-proxy.ts'
import { type S3Server, secret, startS3Server, withoutS3 } from '../support/s3-server.ts'
import { contentOf, namesIn, put } from './folder-contract.ts'

const first = '00000000000000000000.json'
const megabyte = 1024 * 1024
const large = Buffer.alloc(9 * megabyte, 'large enough for two parts ')

const isPut = ({ method, url }: Passing) => method === 'PUT' && !url.includes('partNumber')
const isPart = ({ url }: Passing) => url.includes('partNumber')
const isComplete = ({ method, url }: Passing) => method === 'POST' && url.includes('uploadId')
const isGet = ({ method, url }: Passing) => method === 'GET' && url.includes(first)

const errorBody = (code: string) =>
  Buffer.from(
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${secret}</Message></Error>`,
  )
const refusal = (status: number, code: string) => () => ({
  status,
  body: errorBody(code),
  headers: { 'content-type': 'application/xml' },
})

t.test('what goes wrong between us and S3', { skip: withoutS3 }, async (t) => {
  const server = await startS3Server(t)
  const bucket = await server.makeBucket()
  const { fault, open } = await openThroughProxy(t, server, bucket)
  await put(await open(), 'proof', 'that what is there is refused')

  /** Requests that are disturbed, and how: the file is there all the same, once, and whole. */
  const disturbed: [what: string, on: Fault['on'], Omit<Fault, 'on'>, bytes: string | Buffer][] = []
  for (const [kind, on, bytes] of [
    ['put', isPut, '{}\n'],
    ['part', isPart, large],
    ['completion', isComplete, large],
  ] as const) {
    disturbed.push(
      [`a ${kind} that is lost on its way, twice`, on, { times: 2, before: () => 'drop' }, bytes],
      [`a ${kind} whose answer is lost`, on, { after: () => 'drop' }, bytes],
      [`a ${kind} whose answer is lost, twice`, on, { times: 2, after: () => 'drop' }, bytes],
      [`a ${kind} whose answer breaks off`, on, { after: () => ({ cutAt: 9 }) }, bytes],
      [`a ${kind} that is too slow`, on, { before: late }, bytes],
      [`a ${kind} that is carried out too slowly`, on, { after: late }, bytes],
      [
        `a ${kind} that is told to slow down`,
        on,
        { times: 2, before: refusal(503, 'SlowDown') },
        bytes,
      ],
      [`a ${kind} that fails inside`, on, { before: refusal(500, 'InternalError') }, bytes],
      [
        `a ${kind} that is said to have failed`,
        on,
        { after: refusal(500, 'InternalError') },
        bytes,
      ],
    )
  }
  disturbed.push(
    [
      'a put that meets another',
      isPut,
      { times: 3, before: refusal(409, 'ConditionalRequestConflict') },
      '{}\n',
    ],
    [
      'a put that is said to be too late',
      isPut,
      { before: refusal(412, 'PreconditionFailed') },
      '{}\n',
    ],
    [
      'a completion that meets another',
      isComplete,
      { before: refusal(409, 'ConditionalRequestConflict') },
      large,
    ],
    [
      'a completion said to have failed under 200',
      isComplete,
      { before: refusal(200, 'InternalError') },
      large,
    ],
    [
      'a completion that failed under 200 and was done',
      isComplete,
      { after: refusal(200, 'InternalError') },
      large,
    ],
    [
      'a completion whose upload is gone, for it was done',
      isComplete,
      { after: refusal(404, 'NoSuchUpload') },
      large,
    ],
  )

  for (const [what, on, how, bytes] of disturbed) {
    await t.test(what, async (t) => {
      const folder = await open()
      const { struck } = fault({ on, ...how })
      const end = await put(folder, first, bytes)
      t.ok(['put', 'same'].includes(end), end)
      t.equal(struck(), how.times ?? 1)
      t.strictSame(await namesIn(folder), [first])
      t.ok((await buffer(await folder.read(first))).equals(Buffer.from(bytes)))
      t.equal(await put(folder, first, `${bytes}x`), 'other')
    })
  }

  await t.test('a replacement whose answer is lost', async (t) => {
    const folder = await open()
    for (const [bytes, on] of [
      ['{}', isPut],
      [large, isComplete],
    ] as const) {
      const { struck } = fault({ on, after: () => 'drop' })
      const file = await folder.begin(first)
      await file.append(bytes)
      await file.seal()
      await file.replace()
      await file.discard()
      t.equal(struck(), 1)
      t.ok((await buffer(await folder.read(first))).equals(Buffer.from(bytes)))
    }
  })

  await t.test('a removal whose answer is lost', async (t) => {
    const folder = await open()
    await put(folder, first, '{}')
    fault({ on: ({ url }) => url.includes('delete'), after: () => 'drop' })
    await folder.remove([first])
    t.strictSame(await namesIn(folder), [])
  })

  await t.test('a body that breaks off is read on, and only to its end', async (t) => {
    const folder = await open()
    await put(folder, first, large)
    const breaks = [0, 1, megabyte, 5 * megabyte].map((cutAt) =>
      fault({ on: isGet, after: () => ({ cutAt }) }),
    )
    t.ok((await buffer(await folder.read(first))).equals(large))
    t.strictSame(
      breaks.map(({ struck }) => struck()),
      [1, 1, 1, 1],
    )
    fault({ on: isGet, after: () => ({ cutAt: 10 }) })
    const range = { start: 7, end: 5000 }
    t.ok((await buffer(await folder.read(first, range))).equals(large.subarray(7, 5000)))
  })

  await t.test('a body that breaks off again and again is given up', async (t) => {
    const folder = await open()
    await put(folder, first, large)
    const strikes = fault({ on: isGet, times: 100, after: () => ({ cutAt: 0 }) })
    await t.rejects(buffer(await folder.read(first)), { code: 'storage-unavailable' })
    t.ok(strikes.struck() < 20, String(strikes.struck()))
    strikes.end()
  })

  await t.test('a file that is another when it is read on fails', async (t) => {
    const folder = await open()
    await put(folder, first, large)
    fault({ on: isGet, after: () => ({ cutAt: 100 }) })
    const stream = await folder.read(first)
    const file = await folder.begin(first)
    await file.append(Buffer.alloc(large.length))
    await file.seal()
    await file.replace()
    const error = await buffer(stream).catch((error) => error)
    t.match(error, { reason: 'PreconditionFailed' })
  })

  await t.test('a body that is not what it says fails', async (t) => {
    const folder = await open()
    const text = 'x'.repeat(1000)
    await put(folder, first, text)
    fault({ on: isGet, after: () => ({ body: Buffer.from(text.slice(1)) }) })
    await t.rejects(contentOf(folder, first), { code: 'storage-unavailable' }, 'too short')
    fault({ on: isGet, after: () => ({ body: Buffer.from(`${text.slice(1)}y`) }) })
    await t.rejects(contentOf(folder, first), { code: 'storage-unavailable' }, 'changed')
    fault({ on: isGet, after: () => ({ body: Buffer.from(text.slice(0, 3)) }) })
    const range = { start: 0, end: 5 }
    await t.rejects(buffer(await folder.read(first, range)), { code: 'storage-unavailable' })
    fault({ on: isGet, after: () => ({ headers: {}, status: 200 }) })
    await t.rejects(buffer(await folder.read(first, range)), { code: 'storage-unavailable' })
    t.equal(await contentOf(folder, first), text)
  })

  await t.test('what fails for good is told, without what the other side says', async (t) => {
    const folder = await open()
    const kinds = [
      ['SlowDown', 503, 'storage-unavailable'],
      ['InternalError', 500, 'storage-unavailable'],
      ['AccessDenied', 403, 'location-not-allowed'],
      ['NoSuchBucket', 404, 'location-not-allowed'],
    ] as const
    for (const [reason, status, code] of kinds) {
      const strikes = fault({ on: () => true, times: 30, before: refusal(status, reason) })
      const calls: [string, () => Promise<unknown>][] = [
        ['put', () => put(folder, first, '{}')],
        ['large put', () => put(folder, first, large)],
        ['list', () => namesIn(folder)],
        ['read', () => folder.read(first)],
        ['remove', () => folder.remove([first])],
        ['sweep', () => folder.sweep(() => true)],
      ]
      for (const [what, call] of calls) {
        const error = await call().then(
          () => undefined,
          (error) => error,
        )
        t.match(
          error,
          { code, reason, message: new RegExp(`HTTP ${status}`) },
          `${reason}: ${what}`,
        )
        t.notMatch(inspect(error, { depth: 9, showHidden: true }), secret)
      }
      strikes.end()
    }
    t.strictSame(await namesIn(folder), [])
  })

  await t.test('a server that never answers is given up', async (t) => {
    const { fault, open } = await openThroughProxy(t, server, bucket, 100)
    const folder = await open()
    const { struck } = fault({ on: () => true, times: 30, before: () => new Promise(() => {}) })
    await t.rejects(put(folder, first, '{}'), { code: 'storage-unavailable', message: /in time/ })
    await t.rejects(folder.size(first), { code: 'storage-unavailable', message: /in time/ })
    t.equal(struck(), 6, 'three attempts each')
  })
})

t.test('a store that overwrites although it is told not to', { skip: withoutS3 }, async (t) => {
  const server = await startS3Server(t)
  const { fault, open, seen } = await openThroughProxy(t, server, await server.makeBucket())
  fault({ on: isPut, times: 2, after: () => ({ status: 200, body: Buffer.alloc(0) }) })
  const folder = await open()
  const refused = { code: 'location-not-allowed', message: /overwrites/ }
  await t.rejects(put(folder, first, 'ours'), refused)
  t.equal(await put(folder, first, 'theirs'), 'other', 'what is there is looked at first')
  t.equal(await contentOf(folder, first), 'ours')
  const asked = seen.length
  t.equal(await put(folder, 'second', 'ours'), 'put', 'once it does as it is told')
  t.equal(await put(folder, 'third', 'ours'), 'put')
  t.equal(seen.length - asked, 4, 'it is trusted')
})

t.test('connections are no more than allowed', { skip: withoutS3 }, async (t) => {
  const server = await startS3Server(t)
  const { fault, open } = await openThroughProxy(t, server, await server.makeBucket())
  let now = 0
  let most = 0
  fault({
    on: isPut,
    times: 40,
    async before() {
      now += 1
      most = Math.max(most, now)
      await sleep(5)
      now -= 1
      return undefined
    },
  })
  const folder = await open()
  await Promise.all(Array.from({ length: 30 }, (_, index) => put(folder, `file-${index}`, 'x')))
  t.equal((await namesIn(folder)).length, 30)
  t.ok(most <= 4, String(most))
})

t.test('wrong credentials are refused without being told', { skip: withoutS3 }, async (t) => {
  const server = await startS3Server(t)
  const bucket = await server.makeBucket()
  process.env['AWS_SECRET_ACCESS_KEY'] = `${secret}-wrong`
  const { open } = await openThroughProxy(t, server, bucket)
  const error = await put(await open(), first, '{}').catch((error) => error)
  t.match(error, { code: 'location-not-allowed', reason: 'SignatureDoesNotMatch' })
  t.notMatch(inspect(error, { depth: 9, showHidden: true }), /s3cr3t|tester/)
})

/** Longer than a request may take. */
const requestMs = 2000
async function late(): Promise<undefined> {
  await sleep(requestMs + 500)
}

async function openThroughProxy(t: Test, server: S3Server, bucket: string, msMax = requestMs) {
  const proxy = await startHttpProxy(t, server.endpoint)
  const storage = createStorage(
    loadConfig({
      ...server.env,
      S3_ENDPOINT: proxy.endpoint,
      S3_REQUEST_MS_MAX: String(msMax),
      S3_SOCKETS_MAX: '4',
      MIRROR_ROOTS: `s3://${bucket}`,
    }),
  )
  const open = (): Promise<Folder> => storage.open(`s3://${bucket}/${randomUUID()}/_delta_log`)
  return { ...proxy, open }
}
