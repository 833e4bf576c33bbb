import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { canonicalJson } from '../../src/delta/checkpoints/last-checkpoint.ts'
import { commitFileName, parseLogFileName } from '../../src/delta/log-files.ts'
import { publishTables } from '../../src/mirror/publish-tables.ts'
import { add, remove } from '../support/api.ts'
import { startS3Server, withoutS3 } from '../support/s3-server.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { readCheckpoint } from './read-checkpoint.ts'

/** How often the writer of a checkpoint is killed for each spec and store; the full test takes 50. */
const kills = Number(process.env['CHECKPOINT_KILLS'] ?? 3)

t.setTimeout(120_000 + kills * 60_000)

const inDatabase = [
  'after sql:update checkpoints',
  'sql:greatest(version',
  'after sql:greatest(version',
]
const onDisk = [
  ...['readdir', 'open', 'after open', 'writeFile', 'after writeFile', 'utimes', 'sync'],
  ...[
    'after sync',
    'link',
    'after link',
    'rename',
    'after rename',
    'close',
    'rm',
    'unlink',
    'after unlink',
  ],
]
const inS3 = ['PutObject', 'after PutObject', 'DeleteObjects', 'after DeleteObjects']
const v2 = { 'delta.feature.v2Checkpoint': 'supported', 'delta.checkpointPolicy': 'v2' }

interface Scene {
  server: TestServer
  table: string
  /** The log as a folder of this machine. */
  log: string
  root: string
  env: Record<string, string>
  steps: string[]
}

for (const [spec, configuration] of Object.entries({ classic: {}, v2 })) {
  t.test(`a writer of ${spec} checkpoints in a folder that is killed ${kills} times`, async (t) => {
    const server = await startTestServer(t, {}, { mirror: false })
    const root = join(server.dataDir, 'tables')
    const table = await server.makeTable({ configuration })
    const log = join(root, table, '_delta_log')
    const steps = [...inDatabase, ...onDisk]
    const scene = { server, table, log, root, env: {}, steps }
    await killAgainAndAgain(t, scene)
    const left = (await names(log)).filter((name) => name.startsWith('.'))
    t.strictSame(left, [], 'nothing half done is left')
    await readByDeltaRs(t, scene)
  })
}

t.test(
  `a writer of checkpoints in S3 that is killed ${kills} times`,
  { skip: withoutS3 },
  async (t) => {
    const s3 = await startS3Server(t)
    const bucket = await s3.makeBucket()
    const root = `s3://${bucket}`
    const { s3Endpoint, s3Region, s3ForcePathStyle } = loadConfig(s3.env)
    const settings = { mirrorRoots: [root], s3Endpoint, s3Region, s3ForcePathStyle }
    const server = await startTestServer(t, settings, { mirror: false })
    const table = await server.makeTable({ location: `${root}/one`, configuration: v2 })
    const log = join(s3.folder, bucket, 'one', '_delta_log')
    const steps = [...inDatabase, ...inS3]
    await killAgainAndAgain(t, { server, table, log, root, env: s3.env, steps })
  },
)

/** Has versions come, and the writer of their checkpoint killed, until it was killed as often as it should be. */
async function killAgainAndAgain(t: Test, scene: Scene): Promise<void> {
  const { steps } = scene
  const killedAt = new Map<string, number>()
  let version = 0
  for (let killed = 0, turn = 0; killed < kills; turn += 1) {
    // Every seventh, so that a short run has some of all; then a later call of the same steps.
    const step = steps[(turn * 7) % steps.length] ?? ''
    const count = 1 + (Math.floor(turn / steps.length) % 5)
    version = await publishSome(scene, turn)
    const { signal, stderr } = await checkpointInProcess(t, scene, version, [step, String(count)])
    if (signal === 'SIGKILL') {
      killed += 1
      killedAt.set(step, (killedAt.get(step) ?? 0) + 1)
    } else {
      t.equal(stderr, '', `who is not killed at ${step} writes it`)
    }
    await checkLog(t, scene, version)
    t.ok(turn < kills * 10, `${killed} kills in ${turn} attempts`)
  }
  version = await publishSome(scene, kills * 10)
  const { stderr } = await checkpointInProcess(t, scene, version, [])
  t.equal(stderr, '')
  const last = await checkLog(t, scene, version)
  t.equal(last, version, 'in the end it is there')
  t.comment([...killedAt].map(([step, times]) => `${times} × ${step}`).join(', '))
}

/** Two versions more, of which the first replaces a file; the older ones expire. */
async function publishSome({ server, table }: Scene, turn: number): Promise<number> {
  const removal = remove(`f-${turn - 1}-0`, { deletionTimestamp: Date.now() })
  const adds = [0, 1, 2].map((number) => add(`f-${turn}-${number}`))
  await server.commit(table, { actions: [removal, ...adds] })
  const { body } = await server.commit(table, { actions: [{ txn: { appId: 'a', version: turn } }] })
  await publishTables(server.db, { tableIds: [table], storage: server.storage, sweep: true })
  await sql`update commits set in_commit_timestamp = in_commit_timestamp - 40 * 86400000::bigint
    where table_id = ${table}::uuid and version < ${body.version - 3}
      and in_commit_timestamp > ${Date.now() - 20 * 86_400_000}`.execute(server.db)
  // So that it is cleaned up after each checkpoint, and at once taken over from who was killed.
  await sql`update checkpoints set claimed_until = null, cleaned_version = -1`.execute(server.db)
  return body.version
}

/** Whatever a reader finds is whole, and enough to read the newest version; answers where the pointer leads. */
async function checkLog(t: Test, { log, server, table }: Scene, version: number): Promise<number> {
  const visible = (await names(log)).filter((name) => !name.startsWith('.'))
  const whole: number[] = []
  for (const name of visible) {
    const file = parseLogFileName(name)
    if (file?.kind !== 'checkpoint') continue
    const rows = await readCheckpoint(log, name)
    for (const { sidecar } of rows) {
      if (sidecar) rows.push(...(await readCheckpoint(log, `_sidecars/${sidecar['path']}`)))
    }
    const { body } = await server.get(`/tables/${table}/snapshot?version=${file.version}`)
    const count = rows.filter((row) => row['add']).length
    t.equal(count, body.statistics.numFiles, `${name} is whole`)
    whole.push(file.version)
  }
  const isThere = (from: number) =>
    Array.from({ length: version + 1 - from }, (_, index) => commitFileName(from + index)).every(
      (name) => visible.includes(name),
    )
  t.ok(
    [0, ...whole].some((from) => isThere(from)),
    'the newest version can be read',
  )
  if (!visible.includes('_last_checkpoint')) return -1
  const pointer = await readFile(join(log, '_last_checkpoint'), 'utf8')
  const last = JSON.parse(pointer)
  t.equal(createHash('md5').update(canonicalJson(pointer)).digest('hex'), last.checksum)
  t.ok(whole.includes(last.version), 'the pointer leads to a checkpoint')
  return last.version
}

const script = fileURLToPath(new URL('checkpoint-process.ts', import.meta.url))

async function checkpointInProcess(
  t: Test,
  { server, table, root, env }: Scene,
  version: number,
  step: readonly string[],
) {
  const args = [script, server.database.url, table, String(version), root, ...step]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const stderr = text(child.stderr)
  const [, signal] = await once(child, 'exit')
  return { signal, stderr: await stderr }
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort()
}

const python = fileURLToPath(new URL('../../.interop/python/bin/python', import.meta.url))
const countFiles = `
import sys
from deltalake import DeltaTable
table = DeltaTable(sys.argv[1])
print(table.version(), len(table.file_uris()))
`

/** Where delta-rs is installed, it opens what is left without the commits before the newest checkpoint. */
async function readByDeltaRs(t: Test, { server, table, log }: Scene): Promise<void> {
  if (!existsSync(python)) {
    t.comment('delta-rs is not here; npm run interop installs it')
    return
  }
  const { version } = JSON.parse(await readFile(join(log, '_last_checkpoint'), 'utf8'))
  const copy = join(t.testdir(), 'copy')
  await cp(join(log, '..'), copy, { recursive: true })
  const old = (await names(join(copy, '_delta_log'))).filter(
    (name) => Number(name.slice(0, 20)) < version,
  )
  await Promise.all(old.map((name) => rm(join(copy, '_delta_log', name))))
  const { stdout } = await promisify(execFile)(python, ['-c', countFiles, copy])
  const { body } = await server.get(`/tables/${table}`)
  t.equal(stdout.trim(), `${body.version} ${body.statistics.numFiles}`)
}
