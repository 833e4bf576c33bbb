import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, type Stats } from 'node:fs'
import { lchown, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasCode } from './embedded-processes.ts'

/** Whom the database runs as when this process is root, which PostgreSQL refuses to run as. */
export interface RunAs extends Account {
  /**
   * Lets the database through folders that are closed to its user; with it, SQL of a superuser can
   * read any file of the system, or with `dac_override` write it. Linux only.
   */
  capability?: Capability
}

/** A user of the operating system. */
export interface Account {
  uid: number
  gid: number
}

type Capability = 'dac_read_search' | 'dac_override'

/** Bits of the capability sets in `/proc/self/status`: linux/capability.h. */
const CAPABILITY_BITS = {
  dac_override: 1n,
  dac_read_search: 2n,
  setgid: 6n,
  setuid: 7n,
  setpcap: 8n,
}

const SETPRIV = '/usr/bin/setpriv'

const ADVICE = 'Set DATABASE_URL to a PostgreSQL of your own, or run this server as a plain user.'

/**
 * Chooses whom to run the database of a data folder as: nobody else than ourselves (undefined) for
 * a plain user, and for root the owner of the data, or `postgres`, or `nobody`.
 *
 * Throws when root cannot bring any such user to the folder and to the PostgreSQL programs.
 */
export async function chooseRunAs(folder: string, postgres: string): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const held = await effectiveCapabilities()
  if (process.platform === 'linux' && !(held.has('setuid') && held.has('setgid'))) {
    throw new Error(
      `PostgreSQL refuses to run as root, and this process may not change its user. ${ADVICE}`,
    )
  }
  const account = await chooseAccount(folder)
  const mayRun = isAllowed(await stat(postgres), 0o5, account)
  if (mayRun && (await isReachable(postgres, account)) && (await isReachable(folder, account))) {
    return account
  }
  // Executing a closed file, unlike passing a closed folder, takes more than dac_read_search.
  const enough: Capability[] = mayRun ? ['dac_read_search', 'dac_override'] : ['dac_override']
  const capability = enough.find((name) => held.has(name))
  if (capability && held.has('setpcap') && existsSync(SETPRIV)) return { ...account, capability }
  throw new Error(
    `PostgreSQL refuses to run as root, and the user with id ${account.uid} cannot reach ` +
      `${dirname(folder)} or ${postgres}. Move the project or DATA_DIR to folders that are open ` +
      `to all, away from a home folder. ${ADVICE}`,
  )
}

async function chooseAccount(folder: string): Promise<Account> {
  const accounts = await readAccounts()
  const owner = await stat(folder).catch(() => undefined)
  const isUsable = (uid: number) =>
    uid !== 0 &&
    // initdb wants its user to be listed; a cluster that exists runs under any id.
    (existsSync(join(folder, 'PG_VERSION')) || [...accounts.values()].some((a) => a.uid === uid))
  if (owner && isUsable(owner.uid)) return { uid: owner.uid, gid: owner.gid }
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const account = accounts.get(name)
    if (account) return account
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and there is no user postgres or nobody. ${ADVICE}`,
  )
}

async function readAccounts(): Promise<Map<string, Account>> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n')
  const accounts = new Map<string, Account>()
  for (const [name, , uid, gid] of lines.map((line) => line.split(':'))) {
    // macOS writes the id of nobody as -2.
    if (name && uid && gid) accounts.set(name, { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 })
  }
  return accounts
}

/** Whether a user, by the modes of all parent folders, can get to a path. */
export async function isReachable(path: string, account: Account): Promise<boolean> {
  const parent = dirname(path)
  if (!isAllowed(await stat(parent), 0o1, account)) return false
  return parent === path || isReachable(parent, account)
}

function isAllowed(stats: Stats, bits: number, { uid, gid }: Account): boolean {
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0
  return ((stats.mode >> shift) & bits) === bits
}

async function effectiveCapabilities(): Promise<Set<string>> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  const held = Object.entries(CAPABILITY_BITS).filter(([, bit]) => (bits >> bit) & 1n)
  return new Set(held.map(([name]) => name))
}

/** Gives a file or folder of ours to the user the database runs as. */
export async function giveTo(runAs: RunAs | undefined, path: string): Promise<void> {
  if (!runAs) return
  try {
    await lchown(path, runAs.uid, runAs.gid)
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'EINVAL')) throw error
    throw new Error(
      `PostgreSQL refuses to run as root, and ${path} cannot be given to another user. ${ADVICE}`,
      { cause: error },
    )
  }
}

/**
 * Spawns a PostgreSQL program as that user, in a small environment of its own. It may fail at once
 * or by the event `error`, for which there is `cannotRun`.
 */
export function spawnAs(
  runAs: RunAs | undefined,
  command: [string, ...string[]],
  options: SpawnOptions & { env?: Record<string, string> },
): ChildProcess {
  const [program, ...args] = runAs?.capability ? [...setpriv(runAs), ...command] : command
  const account = runAs && !runAs.capability ? { uid: runAs.uid, gid: runAs.gid } : {}
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...options.env }
  try {
    return spawn(program, args, { cwd: '/', ...options, ...account, env })
  } catch (error) {
    throw cannotRun(command[0], error)
  }
}

/** The error for a PostgreSQL program that the system refuses to run at all. */
export function cannotRun(program: string, cause: unknown): Error {
  return new Error(
    `${program} does not run on this system (${cause instanceof Error ? cause.message : cause}). ` +
      'On Linux it takes the GNU C library 2.27 or later. Set DATABASE_URL to a PostgreSQL of ' +
      'your own.',
    { cause },
  )
}

/**
 * Keeps one capability across the change of user. With `no_setuid_fixup` also access(2), by which
 * the programs look for each other, takes it into account.
 */
function setpriv({ uid, gid, capability }: RunAs): [string, ...string[]] {
  return [
    SETPRIV,
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--securebits=+no_setuid_fixup',
    `--inh-caps=-all,+${capability}`,
    `--ambient-caps=-all,+${capability}`,
    '--',
  ]
}
