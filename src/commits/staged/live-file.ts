import { sql } from 'kysely'

/** A stage and the table that its files are for. */
export interface StageOf {
  /** The SQL table of the stage. */
  stage: string
  tableId: string
}

/**
 * The live file of each staged path, looked for as in `findLiveFiles`: a stage has no statistics to plan by. Where there
 * is none, the look must not go on to the next: what lies between may be as many files that are just removed.
 */
export const liveFile = ({ tableId }: StageOf) => sql`lateral (
      select l.ctid as place, l.* from files l
      where l.removed_version is null and (l.table_id, l.path) >= (${tableId}::uuid, s.path)
        and (l.table_id, l.path) <= (${tableId}::uuid, s.path)
      order by l.table_id, l.path
      limit 1
    ) f on f.table_id = ${tableId}::uuid and f.path = s.path`
