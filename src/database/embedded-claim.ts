import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { EmbeddedConnection, EmbeddedLog } from './embedded.ts'
import { isAlive } from './embedded-processes.ts'

/** The right of this server process to be the only one that serves from a DATA_DIR. */
export interface Claim {
  /** Lets another server have it. Idempotent. */
  release(): Promise<void>
}

export interface ClaimOptions {
  connection: EmbeddedConnection
  /** DATA_DIR as the operator gave it, for messages. */
  dataDir: string
  log: EmbeddedLog
  /** Called once when another server took the claim while the database was away. Stop serving. */
  onLost(error: DataDirInUse): void
}

/** Another server has the claim. */
export class DataDirInUse extends Error {
  override name = 'DataDirInUse'

  constructor(dataDir: string, holder: number | undefined) {
    super(
      `DATA_DIR ${dataDir} is in use by the server with process id ${holder ?? '(unknown)'}. ` +
        'Stop that one, or give this one another DATA_DIR.',
    )
  }
}

/** The advisory lock with the two keys "delt" and "serv", in ASCII. */
const LOCK_KEYS = [0x64656c74, 0x73657276]
const APPLICATION_NAME = 'deltaworks-server pid='
const RETRY_MS = 100
/** How long the session of a server that is gone may take to end. */
const GHOST_MS_MAX = 10_000

interface Session {
  client: Client
  ended: Promise<void>
}

/**
 * Claims the embedded database for this server process, so that no two share a DATA_DIR.
 *
 * The claim is an advisory lock in a session of its own: PostgreSQL frees it when this process ends,
 * in whatever way. When the session is lost, as in a restart of the database, it is claimed again.
 *
 * Throws `DataDirInUse` with the process id of the server that has it.
 */
export async function claimEmbeddedPostgres(options: ClaimOptions): Promise<Claim> {
  const releasing = new AbortController()
  const { signal } = releasing
  const released = once(signal, 'abort')
  const first = await claim(options, isGone)

  async function hold(): Promise<void> {
    for (let session = first; ; session = await claimAgain(options, signal)) {
      await Promise.race([session.ended, released])
      if (signal.aborted) return session.client.end()
    }
  }

  const held = hold().catch((error) => {
    if (!signal.aborted) options.onLost(error)
  })
  return {
    release() {
      releasing.abort()
      return held
    },
  }
}

async function claimAgain(options: ClaimOptions, signal: AbortSignal): Promise<Session> {
  const { dataDir, log } = options
  log.warn({ dataDir }, 'the claim on DATA_DIR is lost')
  for (;;) {
    try {
      const session = await claim(options, (pid) => pid === process.pid || isGone(pid))
      log.info({ dataDir }, 'the claim on DATA_DIR is ours again')
      return session
    } catch (error) {
      if (error instanceof DataDirInUse) throw error
      await sleep(RETRY_MS, undefined, { signal })
    }
  }
}

function isGone(pid: number): boolean {
  return !isAlive(pid)
}

/** Takes the lock, waiting only for sessions whose server is a ghost. */
async function claim(options: ClaimOptions, isGhost: (pid: number) => boolean): Promise<Session> {
  const deadline = Date.now() + GHOST_MS_MAX
  const session = await openSession(options.connection)
  try {
    while (!(await tryLock(session.client))) {
      const holder = await findHolder(session.client)
      const isFree = holder === undefined || isGhost(holder)
      if (!isFree || Date.now() > deadline) throw new DataDirInUse(options.dataDir, holder)
      await sleep(RETRY_MS)
    }
    return session
  } catch (error) {
    await session.client.end()
    throw error
  }
}

async function openSession(connection: EmbeddedConnection): Promise<Session> {
  const client = new Client({ ...connection, application_name: APPLICATION_NAME + process.pid })
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  client.on('error', () => resolve()).on('end', resolve)
  await client.connect()
  return { client, ended }
}

async function tryLock(client: Client): Promise<boolean> {
  const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as locked', LOCK_KEYS)
  return rows[0].locked
}

async function findHolder(client: Client): Promise<number | undefined> {
  const { rows } = await client.query(
    `select a.application_name as name
       from pg_locks l join pg_stat_activity a on a.pid = l.pid and a.datid = l.database
      where l.locktype = 'advisory' and l.granted
        and l.classid = $1 and l.objid = $2 and l.objsubid = 2`,
    LOCK_KEYS,
  )
  const name = String(rows[0]?.name ?? '')
  return name.startsWith(APPLICATION_NAME) ? Number(name.slice(APPLICATION_NAME.length)) : undefined
}
