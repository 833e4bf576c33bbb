import { sql } from 'kysely'
import type { Db } from '../database/connect.ts'

/** An entry whose time is over. */
export interface ExpiredEntry {
  namespaceId: number
  namespace: string
  key: string
  version: number
}

/** Entries whose time is over, the oldest first. Found by state_entries_expires_idx. */
export async function listExpired(
  db: Db,
  { except, limit }: { except: readonly number[]; limit: number },
): Promise<ExpiredEntry[]> {
  const { rows } = await sql<ExpiredEntry>`
    select e.namespace_id as "namespaceId", n.namespace, e.key, e.version
    from (
      select namespace_id, key, version, expires_at from state_entries
      where expires_at <= clock_timestamp() and namespace_id <> all(${except}::integer[])
      order by expires_at limit ${limit}
    ) as e
    join state_namespaces n on n.id = e.namespace_id
    order by e.expires_at`.execute(db)
  return rows
}
