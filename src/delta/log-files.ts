/** Names of the files in a table's `_delta_log` (PROTOCOL.md, "Delta Log Entries", "Checkpoints"). */

/** Where the files of a checkpoint that has several lie, below the log. */
export const sidecarFolder = '_sidecars'
/** Points to the newest checkpoint that its writer knew of. */
export const lastCheckpointName = '_last_checkpoint'

function padded(version: number): string {
  return String(version).padStart(20, '0')
}

/** The folder of a table's log, from the table's location (PROTOCOL.md, "Delta Log Entries"). */
export function deltaLogOf(location: string): string {
  return `${location}/_delta_log`
}

/** Name of the file that holds a version's commit (PROTOCOL.md, "Delta Log Entries"). */
export function commitFileName(version: number): string {
  return `${padded(version)}.json`
}

/** Name of the checkpoint in one Parquet file (PROTOCOL.md, "Classic checkpoint"). */
export function checkpointFileName(version: number): string {
  return `${padded(version)}.checkpoint.parquet`
}

/** Name of a checkpoint of which there may be several (PROTOCOL.md, "UUID-named checkpoint"). */
export function uuidCheckpointFileName(version: number, uuid: string): string {
  return `${padded(version)}.checkpoint.${uuid}.parquet`
}

/** Name of the file that tells what a version comes to (PROTOCOL.md, "Version Checksum File"). */
export function checksumFileName(version: number): string {
  return `${padded(version)}.crc`
}

/** What a file of the log is for, as its name tells. */
export type LogFile =
  | { kind: 'commit' | 'checksum'; version: number }
  /** The actions of the versions from `from` up to `version` in one. */
  | { kind: 'compaction'; version: number; from: number }
  | { kind: 'checkpoint'; form: 'classic' | 'parquet' | 'json'; version: number }
  /** Of a checkpoint in `parts` files the one that is `part`, from 1. */
  | { kind: 'checkpoint'; form: 'part'; version: number; part: number; parts: number }

type Readers = [
  pattern: RegExp,
  read: (version: number, ...rest: number[]) => LogFile | undefined,
][]

const readers: Readers = [
  [/^(\d{20})\.json$/, (version) => ({ kind: 'commit', version })],
  [/^(\d{20})\.crc$/, (version) => ({ kind: 'checksum', version })],
  [
    /^(\d{20})\.checkpoint\.parquet$/,
    (version) => ({ kind: 'checkpoint', form: 'classic', version }),
  ],
  [
    /^(\d{20})\.checkpoint\.[^.]+\.parquet$/,
    (version) => ({ kind: 'checkpoint', form: 'parquet', version }),
  ],
  [
    /^(\d{20})\.checkpoint\.[^.]+\.json$/,
    (version) => ({ kind: 'checkpoint', form: 'json', version }),
  ],
  [
    /^(\d{20})\.checkpoint\.(\d{10})\.(\d{10})\.parquet$/,
    (version, part = 0, parts = 0) =>
      part >= 1 && part <= parts
        ? { kind: 'checkpoint', form: 'part', version, part, parts }
        : undefined,
  ],
  [
    /^(\d{20})\.(\d{20})\.compacted\.json$/,
    (from, version = 0) => (version > from ? { kind: 'compaction', version, from } : undefined),
  ],
]

/**
 * Reads the name of a file in the log. Undefined for names that the protocol does not know, and for those that tell a
 * version beyond 2^53 - 1.
 */
export function parseLogFileName(name: string): LogFile | undefined {
  for (const [pattern, read] of readers) {
    const match = pattern.exec(name)
    if (match === null) continue
    const [version = 0, ...rest] = match.slice(1).map(Number)
    const file = read(version, ...rest)
    return file !== undefined && Number.isSafeInteger(file.version) ? file : undefined
  }
  return undefined
}
