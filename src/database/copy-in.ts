import { finished } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import type { Pool } from './connect.ts'

/**
 * Copies rows, each made with `copyRow`, into a table, in one statement of its own. What is quoted in this form of
 * CSV is hardly ever met, so that most values, JSON above all, are sent and read as they are.
 */
export async function copyIn(pool: Pool, target: string, rows: Buffer): Promise<void> {
  const client = await pool.connect()
  try {
    const stream = client.query(
      copyFrom(`copy ${target} from stdin (format csv, delimiter E'\\x01', quote E'\\x02')`),
    )
    stream.end(rows)
    await finished(stream)
    client.release()
  } catch (error) {
    // What is left of the transfer would meet the next user of the connection.
    client.release(true)
    throw error
  }
}

/** A row for `copyIn`. */
export function copyRow(values: readonly (string | number | bigint | null)[]): string {
  return `${values.map(fieldOf).join('\x01')}\n`
}

const special = ['\x01', '\x02', '\n', '\r']

function fieldOf(value: string | number | bigint | null): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  if (value !== '' && !special.some((character) => value.includes(character))) return value
  return `\x02${value.replaceAll('\x02', '\x02\x02')}\x02`
}
