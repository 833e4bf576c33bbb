import { type Verification, type VerifyContext, verifyLog } from './verify-log.ts'

/** `deltaworks verify TABLE`. Says what came of it; answers whether the log says what the database says. */
export async function runVerify(
  context: VerifyContext,
  table: string,
  output: { write: (text: string) => unknown },
): Promise<boolean> {
  const verification = await verifyLog(context, table)
  output.write(`${reportOf(verification)}\n`)
  return verification.differences.count === 0
}

function reportOf({ table, from, to, checkpoint, differences }: Verification): string {
  const versions = to < from ? 'no log file' : `versions ${from} to ${to}`
  const and = checkpoint === undefined ? '' : ` and the checkpoint of version ${checkpoint.version}`
  const { list, count } = differences
  if (count === 0) return `${table.name}: ${versions}${and} say what the database says.`
  const told = list.flatMap(({ file, line, message, ours, theirs }) => [
    `${file}${line === undefined ? '' : `, line ${line}`}: ${message}`,
    ...(ours === undefined ? [] : [`  ours    ${ours}`]),
    ...(theirs === undefined ? [] : [`  theirs  ${theirs}`]),
  ])
  const more = count > list.length ? [`and ${count - list.length} more`] : []
  return [`${table.name}: ${count} differences in ${versions}${and}.`, ...told, ...more].join('\n')
}
