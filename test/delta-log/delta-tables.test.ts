import { cp, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { startTestServer, type TestServer } from '../support/server.ts'
import {
  apply,
  checksum,
  commitLines,
  emptyState,
  fileId,
  findTables,
  type ModelState,
  normal,
  readBase,
} from './log-model.ts'

/** Tables by Spark, Databricks, delta-rs and Delta Kernel, as their projects keep them for their own tests. */
const root =
  process.env['DELTA_TABLES_DIR'] ?? resolve(import.meta.dirname, '../../../shared/delta-tables')

/** Tables that are refused, and why. All others are imported. */
const refused: Record<string, RegExp> = {
  'delta-kernel-rs/catalog_managed_0':
    /json, line 3: table feature catalogManaged is not supported/,
  'delta-kernel-rs/crc-malformed': /there is no commit and no checkpoint/,
  'delta-kernel-rs/partitioned_with_materialize_feature':
    /"materializePartitionColumns" is not known/,
  'delta-kernel-rs/table-with-geo': /"geospatial" is not known/,
  'delta-rs/simple_table_features': /needs readers of version 5/,
  'delta-rs/spark-variant-checkpoint': /"variantType-preview" is not known/,
  'delta-rs/table_d': /"catalogOwned" is not known/,
  'delta-rs/table_f': /"catalogOwned" is not known/,
  'delta-rs/table_h': /9999.checkpoint.parquet, line 2: table feature "catalogOwned" is not known/,
  'delta-rs/table_i': /9999.checkpoint.parquet, line 2: table feature "catalogOwned" is not known/,
  'delta-rs/table_with_liquid_clustering': /"liquid" is not known/,
  'delta/collations-preview-table': /"collations-preview" is not known/,
  'delta/collations-table': /"collations" is not known/,
  'delta/data-reader-absolute-paths-escaped-chars':
    /0\.json: the table has no metaData action here/,
  'delta/deltalog-invalid-protocol-version':
    /0\.json, line 1: the table needs readers of version 99/,
  'delta/spark-shredded-variant-preview-delta': /"variantShredding-preview" is not known/,
  'delta/type-widening': /"typeWidening-preview" is not known/,
  'delta/type-widening-nested': /"typeWidening-preview" is not known/,
  'delta/variant-stats-nested-no-checkpoint': /"variantShredding-preview" is not known/,
}

/** Tables whose newest checkpoint does not say what their commits say. */
const contradictory: Record<string, RegExp> = {
  'delta-kernel-rs/parquet_row_group_skipping': /metaData is another/,
  'delta-kernel-rs/parsed-stats': /metaData is another/,
  'delta/deltalog-state-reconstruction-from-checkpoint-missing-metadata': /lacks the metaData/,
  'delta/deltalog-state-reconstruction-from-checkpoint-missing-protocol': /lacks the protocol/,
}

const ndjson = { accept: 'application/x-ndjson' }

/** What came of a table, for the table of results. */
interface Result {
  name: string
  outcome: string
  snapshots: number
  checksums: number
}

interface Imported {
  server: TestServer
  id: string
  log: string
}

/** Compares one version with the model; answers whether there was a checksum to compare it with as well. */
async function compareVersion(
  t: Test,
  { server, id, log }: Imported,
  { version, model }: { version: number; model: ModelState },
): Promise<boolean> {
  const { body: snapshot } = await server.get(`/tables/${id}/snapshot?version=${version}`)
  const { text } = await server.get(`/tables/${id}/files?version=${version}`, ndjson)
  const files = text.split('\n').flatMap((line) => (line === '' ? [] : JSON.parse(line).add))
  const found = {
    protocol: snapshot.protocol,
    metadata: snapshot.metadata,
    txns: new Map(snapshot.appTransactions.map((txn: { appId: string }) => [txn.appId, txn])),
    domains: new Map(snapshot.domainMetadata.map((one: { domain: string }) => [one.domain, one])),
    files: new Map(files.map((file) => [fileId(file), file])),
  }
  t.strictSame(normal(found), normal(model), `version ${version}`)
  const sizeInBytes = files.reduce((sum, { size }) => sum + size, 0)
  t.match(snapshot.statistics, { numFiles: files.length, sizeInBytes })
  const told = await checksum(log, version)
  if (told === undefined) return false
  const { setTransactions, domainMetadata, allFiles } = told
  t.strictSame(
    normal({ ...snapshot.statistics, numRecords: undefined }),
    { numFiles: told.numFiles, sizeInBytes: told.tableSizeBytes },
    `version ${version}, checksum: files and bytes`,
  )
  // Early writers told no more.
  const byKey = (list: object[]) => list.map((one) => JSON.stringify(normal(one))).sort()
  if (told.protocol) t.strictSame(normal(snapshot.protocol), normal(told.protocol))
  if (told.metadata) t.strictSame(normal(snapshot.metadata), normal(told.metadata))
  if (setTransactions) t.strictSame(byKey(snapshot.appTransactions), byKey(setTransactions))
  if (domainMetadata) t.strictSame(byKey(snapshot.domainMetadata), byKey(domainMetadata))
  if (allFiles) t.strictSame(new Set(files.map(fileId)), new Set(allFiles.map(fileId)))
  return true
}

/** Compares all versions of a table; answers how many, and how many of them had a checksum. */
async function compareHistory(
  t: Test,
  imported: Imported,
  read: { version: number; historyFrom: number; commitsFrom: number; checkpoint?: string },
): Promise<Pick<Result, 'snapshots' | 'checksums'>> {
  const { server, id, log } = imported
  const { version: newest, historyFrom, commitsFrom, checkpoint } = read
  const model = checkpoint === undefined ? emptyState() : await readBase(log, checkpoint)
  let checksums = 0
  for (let version = historyFrom; version <= newest; version += 1) {
    const lines = await commitLines(log, version)
    if (version >= commitsFrom) {
      const { text } = await server.get(`/tables/${id}/commits/${version}`, ndjson)
      t.strictSame(text.split('\n').slice(0, -1), lines, `the lines of version ${version}`)
    }
    // A checkpoint has what its own version brought.
    if (lines !== undefined)
      apply(
        model,
        lines.map((line) => JSON.parse(line)),
      )
    if (await compareVersion(t, imported, { version, model })) checksums += 1
  }
  for (const [path, from] of [
    ['snapshot', historyFrom],
    ['files', historyFrom],
    ['commits', commitsFrom],
  ] as const) {
    if (from === 0) continue
    const before = path === 'commits' ? `commits/${from - 1}` : `${path}?version=${from - 1}`
    const gone = await server.get(`/tables/${id}/${before}`)
    t.match(gone, { status: 410, body: { code: 'history-not-available', historyFrom: from } })
  }
  return { snapshots: newest - historyFrom + 1, checksums }
}

async function importTable(t: Test, server: TestServer, name: string): Promise<Result> {
  const location = join(server.dataDir, 'tables', name)
  const log = join(location, '_delta_log')
  await mkdir(location, { recursive: true })
  await cp(join(root, name, '_delta_log'), log, { recursive: true, preserveTimestamps: true })
  const table = name.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  const { status, body } = await server.post('/tables/import', { name: table, location })
  const reason = refused[name]
  if (reason !== undefined) {
    t.match({ status, body }, { status: 422, body: { code: 'delta-log-invalid', detail: reason } })
    return { name, outcome: `refused: ${body.detail}`, snapshots: 0, checksums: 0 }
  }
  if (!t.equal(status, 201, `${name} is imported: ${body.detail}`)) {
    return { name, outcome: 'FAILED', snapshots: 0, checksums: 0 }
  }
  const { imported, version, id } = body
  const counts = await compareHistory(t, { server, id, log }, { version, ...imported })
  const { body: verification } = await server.post(`/tables/${id}/mirror/verify`)
  const unlike = contradictory[name]
  const expected =
    unlike === undefined ? { numDifferences: 0 } : { differences: [{ message: unlike }] }
  t.match(verification, expected, 'verified with the newest checkpoint')
  const from = imported.historyFrom > 0 ? ` from ${imported.historyFrom}` : ''
  return { name, outcome: `imported${from} to ${version}`, ...counts }
}

const names = await findTables(root).catch(() => [])

t.test(
  'every table that others have written is imported, or refused for a reason',
  { skip: names.length === 0 && `there are no tables in ${root}; set DELTA_TABLES_DIR` },
  async (t) => {
    const server = await startTestServer(t, {}, { mirror: false })
    const results: Result[] = []
    for (const name of names) {
      await t.test(name, async (t) => {
        results.push(await importTable(t, server, name))
      })
    }
    t.comment('table | outcome | snapshots compared | with checksums')
    for (const { name, outcome, snapshots, checksums } of results) {
      t.comment(`${name} | ${outcome.slice(0, 200)} | ${snapshots} | ${checksums}`)
    }
    t.equal(results.length, names.length, 'none is skipped')
    const sum = (counts: readonly number[]) => counts.reduce((all, one) => all + one, 0)
    const imported = results.filter(({ outcome }) => outcome.startsWith('imported'))
    t.comment(
      `${imported.length} of ${names.length} tables imported, ${sum(results.map((one) => one.snapshots))} snapshots, ${sum(results.map((one) => one.checksums))} checksums`,
    )
  },
)
