import { sql } from 'kysely'
import type { Tx } from '../database/connect.ts'
import { completeRemove } from '../delta/conflicts/winner.ts'
import type { ReadState } from '../delta/conflicts.ts'
import { metadataOfLine } from '../delta/table-state.ts'
import type { WinnerCommit } from './ledger.ts'
import { parseAction } from './proposal.ts'
import { commitColumns } from './queries.ts'
import type { AppTransactionRow, CommitRow } from './rows.ts'

/** From behind which version the commits of a table matter to a batch, and whether the files they add do. */
export interface WinnersWanted {
  tableId: string
  after: number
  adds: boolean
}

/** The actions of winners that one batch reads at most. */
export const winnerActionsMax = 200_000
/** One more, which tells that they are too many. */
const rowsMax = winnerActionsMax + 1

interface WinnerLine {
  tableId: string
  version: number
  kind: string
  line: string
  /** The add of a file that is removed. */
  added: string | null
}

/**
 * The commits since the versions wanted, in order, with what conflicts are judged by; undefined when they have
 * more actions than `winnerActionsMax`.
 */
export async function listWinners(
  tx: Tx,
  wanted: readonly WinnersWanted[],
): Promise<WinnerCommit[] | undefined> {
  if (wanted.length === 0) return []
  const from = sql`unnest(
      ${wanted.map((one) => one.tableId)}::uuid[],
      ${wanted.map((one) => one.after)}::bigint[],
      ${wanted.map((one) => one.adds)}::boolean[]) as w (table_id, after, adds)`
  const [commits, lines] = await Promise.all([
    sql<CommitRow>`
      select ${commitColumns}
      from ${from} cross join lateral (
        select * from commits where table_id = w.table_id and version > w.after
        order by version limit ${rowsMax}) c
      order by c.version
      limit ${rowsMax}`.execute(tx),
    sql<WinnerLine>`
      select w.table_id as "tableId", a.version, a.kind, a.action as line, null::json as added
      from ${from} cross join lateral (
        select version, kind, action from actions
        where table_id = w.table_id and version > w.after and key is not null
        order by version, position limit ${rowsMax}) a
      union all
      select w.table_id, f.added_version, 'add', f.add, null::json
      from ${from} cross join lateral (
        select added_version, add from files
        where table_id = w.table_id and added_version > w.after and add is not null and w.adds
        order by added_version, added_position limit ${rowsMax}) f
      union all
      select w.table_id, f.removed_version, 'remove', f.remove, f.add
      from ${from} cross join lateral (
        select removed_version, remove, add from files
        where table_id = w.table_id and removed_version > w.after and removed_position is not null
        order by removed_version, removed_position limit ${rowsMax}) f
      limit ${rowsMax}`.execute(tx),
  ])
  if (Math.max(commits.rows.length, lines.rows.length) > winnerActionsMax) return undefined
  const byCommit = Map.groupBy(lines.rows, (line) => `${line.tableId}/${line.version}`)
  return commits.rows.map((row) => {
    const own = byCommit.get(`${row.tableId}/${row.version}`) ?? []
    const changesTable = own.some(({ kind }) => kind === 'protocol' || kind === 'metaData')
    return { row, actions: () => own.map(toWinnerAction), changesTable }
  })
}

function toWinnerAction({ line, added }: WinnerLine) {
  const action = parseAction(line)
  if (action.kind !== 'remove' || added === null) return action
  return { ...action, body: completeRemove(action.body, JSON.parse(added).add) }
}

/** The protocol and metadata of tables at versions. */
export async function findReadStates(
  tx: Tx,
  versions: readonly { tableId: string; version: number }[],
): Promise<{ tableId: string; version: number; state: ReadState }[]> {
  if (versions.length === 0) return []
  const { rows } = await sql<{
    tableId: string
    version: number
    protocol: string
    metadata: string
  }>`
    select w.table_id as "tableId", w.version, p.action as protocol, m.action as metadata
    from unnest(
      ${versions.map((one) => one.tableId)}::uuid[],
      ${versions.map((one) => one.version)}::bigint[]) as w (table_id, version)
    join lateral (
      select action from actions
      where table_id = w.table_id and key is not null
        and (kind, key, version) <= ('protocol', '', w.version)
      order by kind desc, key desc, version desc limit 1
    ) p on true
    join lateral (
      select action from actions
      where table_id = w.table_id and key is not null
        and (kind, key, version) <= ('metaData', '', w.version)
      order by kind desc, key desc, version desc limit 1
    ) m on true`.execute(tx)
  return rows.map(({ tableId, version, protocol, metadata }) => ({
    tableId,
    version,
    state: { protocol: JSON.parse(protocol).protocol, metadata: metadataOfLine(metadata) },
  }))
}

/**
 * The newest transactions of applications, each with the commit that first carried a version asked about; where that
 * lies before the history that is known, with the oldest version.
 */
export async function findAppTransactions(
  tx: Tx,
  asked: readonly { tableId: string; appId: string; version: number | bigint }[],
): Promise<AppTransactionRow[]> {
  if (asked.length === 0) return []
  const { rows } = await sql<AppTransactionRow>`
    select a.table_id as "tableId", a.key as "appId", a.app_version as "appVersion",
      greatest(a.version, t.history_from) as "committedIn", w.asked,
      greatest(coalesce(c.version, a.version), t.history_from) as "carriedIn"
    from unnest(
      ${asked.map((one) => one.tableId)}::uuid[],
      ${asked.map((one) => one.appId)}::text[],
      ${asked.map((one) => one.version)}::bigint[]) as w (table_id, app_id, asked)
    join tables t on t.id = w.table_id
    join lateral (
      select * from actions
      where key is not null and superseded_version is null
        and (table_id, kind, key) >= (w.table_id, 'txn', w.app_id)
        and (table_id, kind, key) <= (w.table_id, 'txn', w.app_id)
      order by table_id, kind, key
      limit 1
    ) a on true
    left join lateral (
      select version from actions
      where table_id = w.table_id and key = w.app_id and app_version >= w.asked
      order by app_version, version limit 1
    ) c on true`.execute(tx)
  return rows
}
