import { sql } from 'kysely'
import { stageName } from '../../commits/staged/stage.ts'
import type { Db, Pool } from '../../database/connect.ts'
import { copyIn, copyRow, createRowSender } from '../../database/copy-in.ts'
import type { PutOperation } from '../operations.ts'

/** An entry on its way into the stage. */
export interface StagedEntry {
  /** In the body, from 1. */
  line: number
  put: PutOperation
}

/** Where the entries of an import are put aside, in the order of their lines. */
export interface EntryStage {
  /** The name of the table. */
  table: string
  /** How many entries it holds. */
  count: () => number
  /** Takes the next entries. While some are sent, the next ones may be made ready. */
  write: (entries: readonly StagedEntry[]) => Promise<void>
  /** Sends what is left. */
  flush: () => Promise<void>
  drop: () => Promise<void>
}

/** Bytes that are sent at once, but for an entry that alone is larger. */
const sentMax = 256 * 1024

/** Makes a stage. Its rows are not logged, and should its server crash it is dropped by its age. */
export async function createEntryStage({
  db,
  stagePool,
}: {
  db: Db
  stagePool: Pool
}): Promise<EntryStage> {
  const table = stageName()
  // Nothing is lost with a stage, so its making waits for no flush.
  await sql`
    set local synchronous_commit = off;
    create unlogged table ${sql.table(table)} (
      position integer not null,
      line integer not null,
      key text collate "C" not null,
      json text,
      content_type text,
      bytes bytea,
      metadata jsonb,
      ttl_ms bigint
    )`.execute(db)
  const sender = createRowSender((rows) => copyIn(stagePool, table, rows), sentMax)
  let count = 0
  return {
    table,
    count: () => count,
    async write(entries) {
      let rows = ''
      for (const entry of entries) {
        rows += rowOf(entry, count)
        count += 1
        if (rows.length < sentMax) continue
        await sender.write(rows)
        rows = ''
      }
      await sender.write(rows)
    },
    flush: sender.flush,
    async drop() {
      await sender.idle()
      await sql`set local synchronous_commit = off; drop table if exists ${sql.table(table)}`.execute(
        db,
      )
    },
  }
}

/** In the order of the columns. A time to live of 0 stands for ever, none for what the namespace says. */
function rowOf({ line, put }: StagedEntry, position: number): string {
  const { key, value, metadata, ttlMs } = put
  const { json, contentType, bytes } = value
  const hex = bytes === null ? null : `\\x${bytes.toString('hex')}`
  const life = ttlMs === undefined ? null : (ttlMs ?? 0)
  return copyRow([position, line, key, json, contentType, hex, metadata, life])
}
