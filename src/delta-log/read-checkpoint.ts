import type { Folder } from '../storage/storage.ts'
import { invalidLog } from './invalid-log.ts'
import { fileInTable } from './log-folder.ts'
import type { PlacedAction } from './read-commits.ts'

/** The actions of a checkpoint, some at a time. */
export async function* readCheckpoint(
  _folder: Folder,
  name: string,
): AsyncGenerator<PlacedAction[]> {
  yield []
  throw invalidLog({ file: fileInTable(name), message: 'checkpoints cannot be read yet' })
}
