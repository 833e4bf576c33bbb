import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { commitFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { add } from '../support/api.ts'
import { startS3Server, withoutS3 } from '../support/s3-server.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { freeLock } from './free-lock.ts'

/** How often a publisher is killed in each store; the full test takes 200. */
const kills = Number(process.env['PUBLISH_KILLS'] ?? 3)

t.setTimeout(60_000 + kills * 20_000)

/** Where a publisher is killed, in the order of its work. */
const inDatabase = ['after sql:skip locked', 'sql:update mirrors', 'after sql:update mirrors']
const ending = ['sql:commit', 'after sql:commit']
const onDisk = [
  ...['readdir', 'open', 'after open', 'writeFile', 'after writeFile', 'utimes'],
  ...['sync', 'after sync', 'link', 'after link', 'close', 'rm', 'after rm'],
]
const inS3 = [
  ...['ListMultipartUploads', 'CreateMultipartUpload', 'after CreateMultipartUpload'],
  ...['UploadPart', 'after UploadPart', 'PutObject', 'after PutObject', 'GetObject'],
  ...['CompleteMultipartUpload', 'after CompleteMultipartUpload', 'AbortMultipartUpload'],
]

/** A store, and what a test knows of it from outside. */
interface Scene {
  server: TestServer
  /** Tables in the store, and the folders of this machine that their logs are in. */
  tables: { id: string; log: string }[]
  root: string
  env: Record<string, string>
  steps: string[]
  /** Whether large files go in several parts. */
  hasParts: boolean
}

t.test(`a publisher to a folder that is killed ${kills} times`, async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const root = join(server.dataDir, 'tables')
  const ids = [await server.makeTable(), await server.makeTable()]
  const tables = ids.map((id) => ({ id, log: join(root, id, '_delta_log') }))
  const steps = [...inDatabase, ...onDisk, ...ending]
  const scene = { server, tables, root, env: {}, steps, hasParts: false }
  await killAgainAndAgain(t, scene)
  for (const { log } of tables) {
    t.strictSame(
      (await names(log)).filter((name) => name.startsWith('.')),
      [],
      'nothing is left',
    )
    await readByDeltaRs(t, scene, log)
  }
})

t.test(`a publisher to S3 that is killed ${kills} times`, { skip: withoutS3 }, async (t) => {
  const s3 = await startS3Server(t)
  const bucket = await s3.makeBucket()
  const root = `s3://${bucket}`
  const { s3Endpoint, s3Region, s3ForcePathStyle } = loadConfig(s3.env)
  const settings = { mirrorRoots: [root], s3Endpoint, s3Region, s3ForcePathStyle }
  const server = await startTestServer(t, settings, { mirror: false })
  const tables = []
  for (const name of ['one', 'two']) {
    const id = await server.makeTable({ location: `${root}/${name}` })
    tables.push({ id, log: join(s3.folder, bucket, name, '_delta_log') })
  }
  const steps = [...inDatabase, ...inS3, ...ending]
  const scene = { server, tables, root, env: s3.env, steps, hasParts: true }
  await killAgainAndAgain(t, scene)
  const client = new S3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
  })
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  t.strictSame(Uploads, [], 'no upload is left')
  for (const name of ['one', 'two']) {
    await readByDeltaRs(t, scene, `${root}/${name}/_delta_log`)
  }
})

/** Has versions come and their publisher killed, until it was killed as often as it should be. */
async function killAgainAndAgain(t: Test, scene: Scene): Promise<void> {
  const { server, tables, steps } = scene
  const killedAt = new Map<string, number>()
  for (let killed = 0, turn = 0; killed < kills; turn += 1) {
    // Every seventh, so that a short run has some of all; then a later call of the same steps.
    const step = steps[(turn * 7) % steps.length] ?? ''
    const count = 1 + (Math.floor(turn / steps.length) % 4)
    await commitSome(scene, turn)
    const { signal, stderr } = await publishInProcess(t, scene, [step, count])
    await freeLock(server)
    if (signal === 'SIGKILL') {
      killed += 1
      killedAt.set(step, (killedAt.get(step) ?? 0) + 1)
    } else {
      t.equal(stderr, '', 'who is not killed publishes')
    }
    for (const table of tables) await checkLog(t, scene, { ...table, isWhole: false })
    await checkOrder(t, scene)
    t.ok(turn < kills * 10, `${killed} kills in ${turn} attempts`)
  }
  const job = { tableIds: tables.map(({ id }) => id), storage: server.storage, sweep: true }
  await commitSome(scene, 1)
  await publishTables(server.db, job)
  for (const table of tables) await checkLog(t, scene, { ...table, isWhole: true })
  t.comment([...killedAt].map(([step, times]) => `${times} × ${step}`).join(', '))
}

/** A few small versions for each table, some of them together, and at times one that goes in several parts. */
async function commitSome({ server, tables, hasParts }: Scene, turn: number): Promise<void> {
  for (const [index, { id }] of tables.entries()) {
    if (index === 1) await commitTogether(server, tables, turn)
    for (let number = 0; number < 3; number += 1) {
      await server.commit(id, { actions: [add(`file-${turn}-${number}`)] })
    }
  }
  const [{ id } = { id: '' }] = tables
  if (!hasParts || turn % 3 !== 0) return
  const tags = { filler: 'x'.repeat(300_000) }
  const actions = Array.from({ length: 31 }, (_, part) => add(`large-${turn}-${part}`, { tags }))
  await server.commit(id, { actions })
}

async function commitTogether(server: TestServer, tables: Scene['tables'], turn: number) {
  const actions = [add(`shared-${turn}`)]
  const parts = tables.map(({ id }) => ({ table: id, actions }))
  const { status } = await server.post('/transactions', { commit: true, tables: parts })
  if (status !== 201) throw new Error('both tables are there, so it is committed')
}

/** Of a transaction that is visible on one table, what precedes it is on the other; of one that something follows, all is. */
async function checkOrder(t: Test, { server, tables }: Scene): Promise<void> {
  const [one, other] = await Promise.all(
    tables.map(async ({ id, log }) => {
      const { body } = await server.get(`/tables/${id}/commits?limit=100`)
      const shared = body.items.filter((item: { transactionId?: string }) => item.transactionId)
      const height = (await names(log)).filter((name) => !name.startsWith('.')).length - 1
      return { shared: shared.map(({ version }: { version: number }) => version), height }
    }),
  )
  for (const [index, version] of (one?.shared ?? []).slice(0, 15).entries()) {
    const leads = [(one?.height ?? 0) - version, (other?.height ?? 0) - other?.shared[index]]
    const [less = 0, more = 0] = leads.sort((a, b) => a - b)
    t.ok(more < 0 || less >= (more === 0 ? -1 : 0), `published ${more} and ${less} behind it`)
  }
}

/** What a reader sees are the first versions, each whole, and at least those that are recorded as published. */
async function checkLog(
  t: Test,
  { server }: Scene,
  { id, log, isWhole }: { id: string; log: string; isWhole: boolean },
): Promise<void> {
  const visible = (await names(log)).filter((name) => !name.startsWith('.'))
  t.strictSame(
    visible,
    visible.map((_, version) => commitFileName(version)),
  )
  const { body: mirror } = await server.get(`/tables/${id}/mirror`)
  const { body: table } = await server.get(`/tables/${id}`)
  t.ok(visible.length > mirror.publishedVersion, 'what is recorded is there')
  if (isWhole) {
    t.match(mirror, { state: 'current', publishedVersion: table.version })
    t.equal(visible.length, table.version + 1)
  }
  const first = isWhole ? 0 : Math.max(0, visible.length - 8)
  for (const [version, name] of visible.entries()) {
    if (version < first) continue
    const lines = await server.get(`/tables/${id}/commits/${version}`, {
      accept: 'application/x-ndjson',
    })
    t.ok((await readFile(join(log, name), 'utf8')) === lines.text, `${name} is byte for byte ours`)
  }
}

const script = fileURLToPath(new URL('publish-process.ts', import.meta.url))

async function publishInProcess(t: Test, scene: Scene, step: [string, number]) {
  const { server, tables, root, env } = scene
  const ids = tables.map(({ id }) => id).join(',')
  const args = [script, server.database.url, ids, root, ...step.map(String)]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const stderr = text(child.stderr)
  const [, signal] = await once(child, 'exit')
  return { signal, stderr: await stderr }
}

const python = fileURLToPath(new URL('../../.interop/python/bin/python', import.meta.url))
const readVersion = `
import json, os, sys
from deltalake import DeltaTable
options = {"AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1"}
if "S3_ENDPOINT" in os.environ: options["AWS_ENDPOINT_URL"] = os.environ["S3_ENDPOINT"]
table = DeltaTable(sys.argv[1], storage_options=options)
print(json.dumps([table.version(), len(table.file_uris())]))
`

/** Where delta-rs is installed, it opens what was published. */
async function readByDeltaRs(t: Test, { server, tables, env }: Scene, log: string): Promise<void> {
  if (!existsSync(python)) {
    t.comment('delta-rs is not here; npm run interop installs it')
    return
  }
  const location = log.replace(/\/_delta_log$/, '')
  const { stdout } = await promisify(execFile)(python, ['-c', readVersion, location], {
    env: { ...process.env, ...env },
  })
  const found = JSON.parse(stdout)
  const expected = []
  for (const { id } of tables) {
    const { body } = await server.get(`/tables/${id}`)
    if (body.location === location) expected.push(body.version, body.statistics.numFiles)
  }
  t.strictSame(found, expected, 'delta-rs reads the same version with as many files')
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}
