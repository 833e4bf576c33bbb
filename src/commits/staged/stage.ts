import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import type { Db, Pool } from '../../database/connect.ts'
import { copyIn, copyRow, createRowSender } from '../../database/copy-in.ts'
import type { Long } from '../../delta/actions.ts'
import type { Sweep } from '../../maintenance/sweeper.ts'

/** A file action on its way into the stage. */
export interface StagedAction {
  /** Line in the log file, from 1; line 0 is the commitInfo. */
  position: number
  kind: 'add' | 'remove'
  /** The canonical path. */
  path: string
  deletionVectorId: string | null
  /** Of an add. */
  size: Long | null
  numRecords: Long | null
  /** Whether it can only be judged under the lock. */
  isLate: boolean
  /** Of an add: its records, those that its deletion vector removes included. */
  numRowIds: Long | null
  /** Of an add: the row ids that the adds before it need. */
  numRowIdsBefore: Long | null
  /** The row ids that the line tells, and where their texts go in it; see `RowIdPlaces`. */
  baseRowId: Long | null
  baseRowIdAt: number | null
  rowVersion: Long | null
  rowVersionAt: number | null
  /** The line itself. */
  line: string
}

/** Where the file actions of one large commit are put aside, in the order of their lines. */
export interface Stage {
  /** The name of the table. */
  table: string
  /** Takes the next actions. While some are sent, the next ones may be made ready. */
  write: (actions: readonly StagedAction[]) => Promise<void>
  /** Sends what is left. */
  flush: () => Promise<void>
  drop: () => Promise<void>
}

/** Bytes that are sent at once, but for a slice that alone is larger. */
const sentMax = 256 * 1024

/**
 * Makes a stage. Its rows are not logged: should PostgreSQL crash, the commit has failed anyway. Its name tells
 * its age, so that what a crashed server leaves can be found.
 */
export async function createStage({ db, stagePool }: { db: Db; stagePool: Pool }): Promise<Stage> {
  const table = stageName()
  // Nothing is lost with a stage, so its making waits for no flush.
  await sql`
    set local synchronous_commit = off;
    create unlogged table ${sql.table(table)} (
      position integer not null,
      kind text not null,
      path text not null,
      deletion_vector_id text,
      size bigint,
      num_records bigint,
      is_late boolean not null,
      num_row_ids bigint,
      num_row_ids_before bigint,
      base_row_id bigint,
      base_row_id_at integer,
      row_version bigint,
      row_version_at integer,
      line json not null
    )`.execute(db)
  const sender = createRowSender((rows) => copyIn(stagePool, table, rows), sentMax)
  return {
    table,
    write: (actions) => sender.write(actions.map(rowOf).join('')),
    flush: sender.flush,
    async drop() {
      await sender.idle()
      await sql`set local synchronous_commit = off; drop table if exists ${sql.table(table)}`.execute(
        db,
      )
    },
  }
}

/** A name that no other stage has, and that tells its age. */
export function stageName(): string {
  return `stage_${Date.now()}_${randomBytes(8).toString('hex')}`
}

/** In the order of the columns. */
function rowOf(action: StagedAction): string {
  const { position, kind, path, deletionVectorId, size, numRecords, isLate, line } = action
  const { numRowIds, numRowIdsBefore, baseRowId, baseRowIdAt, rowVersion, rowVersionAt } = action
  return copyRow([
    position,
    kind,
    path,
    deletionVectorId,
    size,
    numRecords,
    String(isLate),
    numRowIds,
    numRowIdsBefore,
    baseRowId,
    baseRowIdAt,
    rowVersion,
    rowVersionAt,
    line,
  ])
}

/** Stages that a server has left when it was killed: no commit under way can be as old as these. */
export function abandonedStages(
  db: Db,
  limits: { requestMsMax: number; databaseCopyMsMax: number },
): Sweep {
  const ageMs = limits.requestMsMax + statementsMax * limits.databaseCopyMsMax
  return { what: 'abandoned stages', sweep: () => dropOlder(db, ageMs), pauseMs: 60_000 }
}

/** Of the statements about a stage that take long. */
const statementsMax = 10

/** Drops stages that are older; answers how many. */
async function dropOlder(db: Db, ageMs: number): Promise<number> {
  const { rows } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = current_schema()
      and substring(tablename from '^stage_([0-9]+)_')::bigint
        < extract(epoch from clock_timestamp()) * 1000 - ${ageMs}
    limit 100`.execute(db)
  if (rows.length === 0) return 0
  const tables = rows.map(({ name }) => sql.id(name))
  await sql`drop table if exists ${sql.join(tables)}`.execute(db)
  return rows.length
}
