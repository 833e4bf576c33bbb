import { finished } from 'node:stream/promises'
import type { PoolClient } from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { createDb, type Db, type Pool } from './connect.ts'

/** Copies rows, each made with `copyRow`, into a table, in one statement of its own. */
export async function copyIn(pool: Pool, target: string, rows: Buffer): Promise<void> {
  const client = await pool.connect()
  try {
    await copyRows(client, target, rows)
    client.release()
  } catch (error) {
    // What is left of the transfer would meet the next user of the connection.
    client.release(true)
    throw error
  }
}

/**
 * What is quoted in this form of CSV is hardly ever met, so that most values, JSON above all, are sent and read as
 * they are.
 */
async function copyRows(client: PoolClient, target: string, rows: Buffer): Promise<void> {
  const stream = client.query(
    copyFrom(`copy ${target} from stdin (format csv, delimiter E'\\x01', quote E'\\x02')`),
  )
  stream.end(rows)
  await finished(stream)
}

/** One connection, for statements and for COPY in between, of which one transaction can be made. */
export interface CopySession {
  db: Db
  /** As the function of that name. */
  copyIn: (target: string, rows: Buffer) => Promise<void>
}

/** Does work on one connection of a pool without pipelines. */
export async function withCopySession<Result>(
  pool: Pool,
  work: (session: CopySession) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect()
  const lent = { query: client.query.bind(client), release() {} }
  const db = createDb({ connect: async () => lent, end: async () => {} } as unknown as Pool)
  let broken = true
  try {
    const result = await work({ db, copyIn: (target, rows) => copyRows(client, target, rows) })
    broken = false
    return result
  } finally {
    // What is left of a transfer would meet the next user of the connection.
    client.release(broken)
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

/** Gathers rows for `copyIn` and sends many at once. */
export interface RowSender {
  /** Takes the next rows. While some are sent, the next ones may be made ready. */
  write: (rows: string) => Promise<void>
  /** Sends what is left. */
  flush: () => Promise<void>
  /** Resolves when nothing is under way, whatever came of it. */
  idle: () => Promise<void>
}

/** `bytesMax` are sent at once, but for rows written together that alone are more. */
export function createRowSender(
  copy: (rows: Buffer) => Promise<void>,
  bytesMax: number,
): RowSender {
  // One is filled while the other is sent; new ones for each million rows would pile up before they are collected.
  let [filling, sent] = [Buffer.alloc(bytesMax), Buffer.alloc(bytesMax)]
  let used = 0
  let sending = Promise.resolve()

  async function send(): Promise<void> {
    // One transfer at a time; the wait for the one before is what holds back who writes.
    await sending
    const rows = filling.subarray(0, used)
    ;[filling, sent] = [sent, filling]
    used = 0
    sending = copy(rows)
    // It is waited for later, and its failure told then.
    sending.catch(() => {})
  }

  return {
    async write(rows) {
      const bytes = Buffer.byteLength(rows)
      if (used + bytes > filling.length) await send()
      if (bytes > filling.length) filling = Buffer.alloc(bytes)
      used += filling.write(rows, used)
    },
    async flush() {
      await send()
      await sending
    },
    idle: () => sending.catch(() => {}),
  }
}
