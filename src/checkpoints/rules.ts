/** Where the checkpoint that is due stands: at the newest published multiple of the interval; below 0 for none. */
export function dueVersion(publishedVersion: number, interval: number): number {
  const due = Math.floor(publishedVersion / interval) * interval
  return due > 0 ? due : -1
}
