/** The file that tells what a version of a table comes to (PROTOCOL.md, "Version Checksum File Schema"). */
import { actionBody } from '../json.ts'

/** What is known of a version; actions as their log lines. */
export interface VersionTotals {
  numFiles: number
  sizeInBytes: number | bigint
  inCommitTimestamp: number
  /** Null where its writer gave none. */
  commitInfo: string | null
  protocol: string
  metaData: string
  /** Undefined when there are too many to repeat them for each version. */
  txns: readonly string[] | undefined
  /** Without removed ones; undefined when there are too many. */
  domains: readonly string[] | undefined
}

/** So many app transactions, and domains, stand in a checksum at most. */
export const checksumKeysMax = 100
/** A longer checksum would cost more at each commit than readers save by it. */
export const checksumLengthMax = 256 * 1024

function hasTimestamps(metaData: string): boolean {
  const { metaData: body } = JSON.parse(metaData)
  return body.configuration?.['delta.enableInCommitTimestamps'] === 'true'
}

function list(lines: readonly string[] | undefined): string | undefined {
  return lines && `[${lines.map(actionBody).join(',')}]`
}

/** The content of the file; undefined when it would be too long. */
export function versionChecksumText(totals: VersionTotals): string | undefined {
  const { commitInfo, inCommitTimestamp } = totals
  const txnId = commitInfo === null ? undefined : JSON.parse(commitInfo).commitInfo.txnId
  const members: Record<string, string | undefined> = {
    txnId: typeof txnId === 'string' ? JSON.stringify(txnId) : undefined,
    tableSizeBytes: String(totals.sizeInBytes),
    numFiles: String(totals.numFiles),
    numMetadata: '1',
    numProtocol: '1',
    inCommitTimestampOpt: hasTimestamps(totals.metaData) ? String(inCommitTimestamp) : undefined,
    setTransactions: list(totals.txns),
    domainMetadata: list(totals.domains),
    metadata: actionBody(totals.metaData),
    protocol: actionBody(totals.protocol),
  }
  const texts = Object.entries(members).flatMap(([name, text]) =>
    text === undefined ? [] : [`"${name}":${text}`],
  )
  const text = `{${texts.join(',')}}`
  return text.length > checksumLengthMax ? undefined : text
}
