/** Name of the file that holds a version's commit (PROTOCOL.md, "Delta Log Entries"). */
export function commitFileName(version: number): string {
  return `${String(version).padStart(20, '0')}.json`
}
