/** Which files of a log may go (PROTOCOL.md, "Metadata Cleanup"). */
import { parseLogFileName } from '../log-files.ts'

const dayMs = 86_400_000

/** The time up to which commits have expired: of whole days, so that a day's commits go together. */
export function expiryCutoff(now: number, retentionMs: number): number {
  return Math.floor((now - retentionMs) / dayMs) * dayMs
}

/** A file in the folder of a log. */
export interface ListedFile {
  name: string
  size: number
}

/** Looks for the checkpoint from which on a log is kept. */
export interface CheckpointSearch {
  /** Takes the next file of the log, in the order of their names; false once none behind it matters. */
  see: (file: ListedFile) => boolean
  /**
   * The newest version, none newer than the newest expired one, of which there is a checkpoint with all its parts, and
   * the files of that. Its commit must be there as well, for that holds what a checkpoint does not. Undefined when
   * there is none.
   */
  found: () => { version: number; files: readonly string[] } | undefined
}

/** `newestExpired` is the newest version whose commit has expired. */
export function searchCheckpoint(newestExpired: number): CheckpointSearch {
  let found: { version: number; files: readonly string[] } | undefined
  let version = -1
  let files: string[] = []
  let hasCommit = false
  let hasCheckpoint = false
  let parts = new Map<number, Set<number>>()

  function begin(next: number): void {
    if (next === version) return
    version = next
    hasCommit = false
    hasCheckpoint = false
    files = []
    parts = new Map()
  }

  return {
    see({ name, size }) {
      const file = parseLogFileName(name)
      if (file === undefined || file.kind === 'compaction') return true
      if (file.version > newestExpired) return false
      begin(file.version)
      if (file.kind === 'commit') hasCommit = true
      if (file.kind === 'checkpoint' && size > 0) {
        files.push(name)
        if (file.form === 'part') {
          const seen = (parts.get(file.parts) ?? new Set<number>()).add(file.part)
          parts.set(file.parts, seen)
          hasCheckpoint ||= seen.size === file.parts
        } else {
          hasCheckpoint = true
        }
      }
      if (hasCommit && hasCheckpoint) found = { version, files }
      return true
    },
    found: () => found,
  }
}

/** Whether a file of the log may go when all is kept from a version on of which there is a checkpoint. */
export function isExpired(name: string, keptFrom: number): boolean {
  const file = parseLogFileName(name)
  if (file === undefined) return false
  return file.kind === 'compaction' ? file.from <= keptFrom : file.version < keptFrom
}

const ownSidecar = /^(\d{20})\.checkpoint\.deltaworks\.[0-9a-f-]{36}\.parquet$/

/** The name of a sidecar of a checkpoint, which no other checkpoint shares. */
export function sidecarFileName(version: number, uuid: string): string {
  return `${String(version).padStart(20, '0')}.checkpoint.deltaworks.${uuid}.parquet`
}

/**
 * Whether a sidecar may go once all checkpoints of versions below `keptFrom` are gone. Only this service's own are
 * known to be no other checkpoint's; those of others stay. What is younger than a day may be of a checkpoint under way.
 */
export function isExpiredSidecar(
  { name, modifiedAt }: { name: string; modifiedAt: number },
  { keptFrom, now }: { keptFrom: number; now: number },
): boolean {
  const version = Number(ownSidecar.exec(name)?.[1] ?? Infinity)
  return version < keptFrom && modifiedAt < Math.floor(now / dayMs - 1) * dayMs
}
