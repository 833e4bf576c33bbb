import { chooseHistory, type ListedFile, type LogHistory } from '../delta/log-history.ts'
import { FileMissingError, type Folder } from '../storage/storage.ts'
import { invalidLog } from './invalid-log.ts'

/** Looks through a log and chooses what its history is read from. Throws `delta-log-invalid`. */
export async function findHistory(folder: Folder): Promise<LogHistory> {
  const { history, fault } = chooseHistory(await listLog(folder))
  if (history === undefined) throw invalidLog({ ...fault, file: fileInTable(fault.file) })
  return history
}

/** All files of a log. */
export async function listLog(folder: Folder): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  for await (const file of folder.list()) files.push(file)
  return files
}

/** How a file of the log is named to people. */
export function fileInTable(name: string): string {
  return `_delta_log/${name}`
}

/** Opens a file of the log; one that has gone since the log was looked through is a fault of the log. */
export async function readLogFile(folder: Folder, name: string): Promise<AsyncIterable<Buffer>> {
  try {
    return await folder.read(name)
  } catch (error) {
    if (!(error instanceof FileMissingError)) throw error
    throw invalidLog({ file: fileInTable(name), message: 'the file is missing' }, error)
  }
}
