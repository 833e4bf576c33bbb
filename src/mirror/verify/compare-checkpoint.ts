import type { Pool } from '../../database/connect.ts'
import { createRowSender, withCopySession } from '../../database/copy-in.ts'
import { inTransaction } from '../../database/transaction.ts'
import type { BaseSource } from '../../delta/log-history.ts'
import { quoted } from '../../delta/text.ts'
import { fileInTable } from '../../delta-log/log-folder.ts'
import { readCheckpoint } from '../../delta-log/read-checkpoint.ts'
import { Problem } from '../../problems.ts'
import type { Folder } from '../../storage/storage.ts'
import { logColumns, logRows } from '../../tables/import/log-rows.ts'
import { createStageTable, stageTable } from '../../tables/import/queries.ts'
import type { TableRow } from '../../tables/queries.ts'
import { type Differences, noteDifference } from './differences.ts'
import { type CheckpointDifference, listActionDifferences, listFileDifferences } from './queries.ts'

/** Bytes that are sent at once. */
const sentMax = 1024 * 1024
const differencesMax = 1000

/**
 * Holds a checkpoint against what the database has of its version. Removed files are left out: how long a checkpoint
 * tells of them is up to its writer.
 */
export async function compareCheckpoint(
  { stagePool, folder }: { stagePool: Pool; folder: Folder },
  { table, checkpoint }: { table: TableRow; checkpoint: BaseSource },
  differences: Differences,
): Promise<void> {
  const { version, files } = checkpoint
  const file = fileInTable(files[0]?.name ?? '')
  await withCopySession(stagePool, ({ db, copyIn }) =>
    inTransaction(db, async (tx) => {
      await createStageTable(tx)
      const copy = (rows: Buffer) => copyIn(`${stageTable} (${logColumns})`, rows)
      const { write, flush, idle } = createRowSender(copy, sentMax)
      try {
        await stageFiles(folder, checkpoint, write).finally(idle)
      } catch (error) {
        if (!(error instanceof Problem)) throw error
        noteDifference(differences, { version, file, message: error.message })
        return
      }
      await flush()
      const of = {
        tableId: table.id,
        version,
        forgetsTransactions: table.metadata.includes('delta.setTransactionRetentionDuration'),
      }
      const found = [
        ...(await listActionDifferences(tx, of, differencesMax)),
        ...(await listFileDifferences(tx, of, differencesMax)),
      ]
      for (const one of found) noteDifference(differences, { version, file, ...told(one) })
    }),
  )
}

async function stageFiles(
  folder: Folder,
  { version, files }: BaseSource,
  write: (rows: string) => Promise<void>,
): Promise<void> {
  for (const { name } of files) {
    for await (const actions of readCheckpoint(folder, name)) {
      const rows = actions.map((placed) => logRows(placed, { version, position: 0 }))
      await write(rows.map((read) => (read.fault === undefined ? read.rows : '')).join(''))
    }
  }
}

function told({ key, kind, ours, theirs }: CheckpointDifference) {
  const what = key === '' ? kind : `${kind} of ${quoted(key)}`
  if (theirs === null) return { message: `the checkpoint lacks the ${what}`, ours: ours ?? '' }
  if (ours === null) return { message: `the checkpoint alone has the ${what}`, theirs }
  return { message: `the ${what} is another`, ours, theirs }
}
