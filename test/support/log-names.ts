/**
 * Whether a name in a log's folder has to do with a commit: its file, or what is left of an attempt to write it. The
 * others, checksums and checkpoints, come whenever there is time.
 */
export function isOfCommits(name: string): boolean {
  return !/\.crc\b|checkpoint/.test(name)
}
