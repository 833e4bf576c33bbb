import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Whether an error carries one of these codes (`ENOENT`, …, or a SQLSTATE). */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** Whether a process runs. A zombie, dead but not yet collected by its parent, does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
  return !isZombie(pid)
}

function isZombie(pid: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return /^[XZ]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

/**
 * Whether a process is the PostgreSQL server of a data folder, as far as its command line tells.
 * Tells a postmaster from another process that was given the same id later.
 */
export async function isPostmaster(pid: number, folder: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  const command = await commandLine(pid)
  if (command === undefined) return true
  // A backend shows "postgres: …" instead of its command line.
  if (!/(^|\/)(postgres|postmaster) /.test(command)) return false
  return !command.includes(' -D /') || command.includes(` -D ${folder} `)
}

async function commandLine(pid: number): Promise<string | undefined> {
  try {
    if (process.platform === 'linux') {
      return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ')
    }
    const { stdout } = await promisify(execFile)('/bin/ps', ['-ww', '-o', 'args=', '-p', `${pid}`])
    return `${stdout.trim()} `
  } catch {
    return undefined
  }
}
