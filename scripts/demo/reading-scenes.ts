import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { type ExpectedVersion, inColumns, replay, sortRows } from './ledger.ts'
import type { Row } from './parquet.ts'
import { commitsPath, listFiles, readRows, type Stage } from './stage.ts'

interface CommitSummary {
  version: number
  inCommitTimestamp: number
  operation: string
  numAddedFiles: number
  numRemovedFiles: number
  commitInfo: { engineInfo: string }
}

/** Shows what was committed, when and by whom. */
export async function showHistory(stage: Stage): Promise<void> {
  const { story, clients } = stage
  story.scene('The history')
  const path = `${commitsPath(stage)}?limit=1000`
  story.line(`→ GET ${path}`)
  const { items } = await clients.office.get<{ items: CommitSummary[] }>(path)
  story.table([
    ['version', 'committed at', 'operation', 'added', 'removed', 'by'],
    ...items.map((commit) => [
      commit.version,
      new Date(commit.inCommitTimestamp).toISOString(),
      commit.operation,
      commit.numAddedFiles,
      commit.numRemovedFiles,
      commit.commitInfo.engineInfo,
    ]),
  ])
}

/** Reads the table as it stood at an older version, asked for by number and by time, and as it stands now. */
export async function travelInTime(stage: Stage, older: number): Promise<ExpectedVersion[]> {
  const { story, clients, table } = stage
  story.scene('Time travel: rows are read from the Parquet files that were live')
  const versions = replay(stage.changes)
  for (const version of [older, versions.length - 1]) {
    const rows = await readRows(stage, version)
    const files = await listFiles(stage, version)
    story.line(`→ GET /tables/${table.name}/files?version=${version}`)
    story.line(`← ${files.length} files with ${rows.length} orders:`)
    story.table(summarise(rows))
    refuseOtherRows(rows, versions[version])
  }
  const { inCommitTimestamp } = await clients.office.get<{ inCommitTimestamp: number }>(
    `/tables/${table.name}/snapshot?version=${older}`,
  )
  const path = `/tables/${table.name}/files?timestamp=${new Date(inCommitTimestamp).toISOString()}`
  const { version } = await clients.office.get<{ version: number }>(path)
  story.line(`→ GET ${path}`)
  story.line(`← version ${version}`)
  if (version !== older) throw new Error(`the time of version ${older} led to ${version}`)
  return versions
}

function refuseOtherRows(rows: readonly Row[], expected: ExpectedVersion | undefined): void {
  if (expected === undefined) throw new Error('the service has a version that nobody committed')
  const found = sortRows(rows.map((row) => inColumns(row, expected.columns)))
  if (!isDeepStrictEqual(found, expected.rows)) {
    throw new Error(`version ${expected.version} holds other rows than were written`)
  }
}

/** Orders and turnover of each day. */
function summarise(rows: readonly Row[]): (string | number)[][] {
  const days = Map.groupBy(rows, (row) => String(row['day']))
  const lines = [...days].toSorted().map(([day, orders]) => {
    const cents = orders.reduce((sum, { amount }) => sum + Math.round(Number(amount) * 100), 0)
    const coupons = orders.filter(({ coupon }) => (coupon ?? null) !== null).length
    return [day, orders.length, (cents / 100).toFixed(2), coupons]
  })
  return [['day', 'orders', 'turnover', 'with coupon'], ...lines]
}

interface Mirror {
  state: string
  publishedVersion: number
  pending: number
}

const publishMsMax = 30_000

/** Waits until every commit is published, and shows the folder that any Delta reader can open. */
export async function showMirror(stage: Stage): Promise<void> {
  const { story, clients, table, layout } = stage
  story.scene('The mirror: every commit is published to the table’s own _delta_log')
  const path = `/tables/${table.name}/mirror`
  const deadline = Date.now() + publishMsMax
  let mirror = await clients.office.get<Mirror>(path)
  while (mirror.state !== 'current') {
    if (Date.now() > deadline) throw new Error(`the mirror stays behind: ${JSON.stringify(mirror)}`)
    await wait(20)
    mirror = await clients.office.get<Mirror>(path)
  }
  story.exchange(`GET ${path}`, undefined, { status: 200, body: mirror })
  const folder = join(layout.location, '_delta_log')
  const names = (await readdir(folder)).filter((name) => /^\d+\.json$/.test(name)).toSorted()
  story.line(`${folder} holds ${names.length} commits:`)
  story.line(`${names[0]} … ${names.at(-1)}`)
}
