import { quoted } from '../../delta/text.ts'
import { Problem } from '../../problems.ts'
import { isTableName, tableNameLengthMax } from '../rules.ts'
import { type ImportContext, type ImportedTable, importTable } from './import-table.ts'
import type { ReadProgress } from './read-history.ts'

/** Where a command writes: a terminal, or a file or pipe. */
export interface CommandOutput {
  isTTY?: boolean
  write: (text: string) => unknown
}

/** `deltaworks import NAME LOCATION`. Shows how far it is; answers the table, or throws the refusal. */
export async function runImport(
  context: ImportContext,
  request: { name: string; location: string },
  output: CommandOutput,
): Promise<void> {
  const { name } = request
  if (!isTableName(name)) {
    const detail = `The name ${quoted(name)} must be parts of letters, digits, "_" and "-", joined by dots, of at most ${tableNameLengthMax} characters.`
    throw new Problem('invalid-table', detail)
  }
  const progress = showProgress(output)
  const results: (ImportedTable | Problem)[] = []
  await importTable(
    context,
    { ...request, onProgress: progress.show },
    {
      idempotent: undefined,
      answer: (result) => {
        results.push(result)
        return { status: 201, headers: {}, body: '' }
      },
    },
  ).finally(progress.end)
  const [result] = results
  if (result === undefined || result instanceof Problem) throw result
  output.write(`${summaryOf(result)}\n`)
}

const intervalsMs = { bar: 100, line: 2000 }
const barWidth = 30

/** A bar that moves where somebody looks on, and lines where not. */
function showProgress(output: CommandOutput) {
  const intervalMs = output.isTTY ? intervalsMs.bar : intervalsMs.line
  let shownAt = performance.now() - (output.isTTY ? intervalMs : 0)
  return {
    show(progress: ReadProgress): void {
      const now = performance.now()
      const isNews = output.isTTY && isRead(progress)
      if (now - shownAt < intervalMs && !isNews) return
      shownAt = now
      output.write(output.isTTY ? `\r${barOf(progress)}\u001b[K` : `${lineOf(progress)}\n`)
    },
    end(): void {
      if (output.isTTY) output.write('\r\u001b[K')
    },
  }
}

function shareOf({ bytes, bytesTotal }: ReadProgress): number {
  return bytesTotal === 0 ? 1 : bytes / bytesTotal
}

function barOf(progress: ReadProgress): string {
  const filled = Math.floor(shareOf(progress) * barWidth)
  return `[${'#'.repeat(filled)}${'-'.repeat(barWidth - filled)}] ${lineOf(progress)}`
}

function lineOf(progress: ReadProgress): string {
  const { bytesTotal, actions } = progress
  const percent = Math.floor(shareOf(progress) * 100)
  const next = isRead(progress) ? ', being stored' : ''
  return `${percent} % of ${megabytes(bytesTotal)} MB read, ${actions} actions${next}`
}

function isRead({ bytes, bytesTotal }: ReadProgress): boolean {
  return bytes === bytesTotal
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}

function summaryOf({ table, history }: ImportedTable): string {
  const { id, name, version, numFiles, sizeInBytes } = table
  const { historyFrom, actions, appTransactions, domains, checkpoint } = history
  const from = checkpoint === undefined ? '' : `, the oldest from ${checkpoint}`
  return [
    `${quoted(name)} is imported as ${id}.`,
    `  versions      ${historyFrom} to ${version}${from}`,
    `  files         ${numFiles}, ${sizeInBytes} bytes`,
    `  actions read  ${actions}`,
    `  applications  ${appTransactions}`,
    `  domains       ${domains}`,
  ].join('\n')
}
