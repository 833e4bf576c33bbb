import type { Folder } from '../storage/storage.ts'

const magic = Buffer.from('PAR1')
/** The magic at either end, and the length of the footer. */
const bytesMin = 3 * magic.length

/**
 * Whether a file of a checkpoint is there to its end. Writers of others may have left one that is not, where a store does
 * not bring files under their names in one step. What is not Parquet is taken to be whole.
 */
export async function isWhole(folder: Folder, name: string): Promise<boolean> {
  if (!name.endsWith('.parquet')) return true
  const size = (await folder.size(name)) ?? 0
  if (size < bytesMin) return false
  const end = await folder.read(name, { start: size - magic.length, end: size })
  return magic.equals(Buffer.concat(await end.toArray()))
}
