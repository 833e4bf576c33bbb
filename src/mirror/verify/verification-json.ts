import { fileInTable } from '../../delta-log/log-folder.ts'
import type { Verification } from './verify-log.ts'

/** A verification as it is told. */
export function verificationJson({ table, from, to, checkpoint, differences }: Verification) {
  return {
    tableId: table.id,
    verified: differences.count === 0,
    versions: { from, to, count: Math.max(to - from + 1, 0) },
    ...(checkpoint !== undefined && {
      checkpoint: {
        version: checkpoint.version,
        file: fileInTable(checkpoint.files[0]?.name ?? ''),
      },
    }),
    numDifferences: differences.count,
    differences: differences.list,
  }
}
