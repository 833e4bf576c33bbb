import { createLocalStorage } from './local-folder.ts'
import type { Storage } from './storage.ts'

/** The stores that a server works with. `roots` are what tables may lie below. */
export function createStorage(roots: readonly string[]): Storage {
  return createLocalStorage(roots)
}
