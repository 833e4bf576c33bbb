import type { ModelTable } from '../delta/cases/conflicts/model.ts'
import { checkWindow, type RealTime, toldBy } from './real-time.ts'
import type { RecordedRead } from './recorded-run.ts'
import type { TableModel } from './table-model.ts'

/** Every read shows the table as it was at one version: that asked for, or the newest of a moment of the read. */
export function checkReads(
  reads: readonly RecordedRead[],
  table: TableModel,
  time: RealTime,
): string[] {
  return reads.flatMap((read) => {
    const { kind, body } = read
    const version = toldBy(body)
    if (version === undefined) return [`a read of ${kind} told no version`]
    const faults =
      read.version === undefined
        ? checkWindow(version, read, time)
        : read.version === version
          ? []
          : [`told of ${version} when asked for ${read.version}`]
    if (!showsVersion(read, table, version)) faults.push(`is not that of version ${version}`)
    return faults.map((fault) => `a read of ${kind} ${fault}`)
  })
}

function showsVersion({ kind, body }: RecordedRead, table: TableModel, version: number): boolean {
  const state = table.states[version]
  if (state === undefined) return false
  const answer = JSON.parse(body)
  switch (kind) {
    case 'snapshot':
      return answer.statistics.numFiles === state.files.size && hasSameNames(answer, state)
    case 'files':
      return isSame(
        answer.items.map(({ add }: { add: { path: string } }) => add.path),
        [...state.files.keys()],
      )
    case 'history':
      return answer.items.every(
        (item: { version: number; commitInfo: object }, index: number) =>
          item.version === version - index &&
          JSON.stringify(item.commitInfo) ===
            JSON.stringify(table.actions[item.version]?.[0]?.['commitInfo']),
      )
    case 'commit':
      return JSON.stringify(answer.actions) === JSON.stringify(table.actions[version])
  }
}

interface Snapshot {
  appTransactions: { appId: string }[]
  domainMetadata: { domain: string }[]
}

function hasSameNames({ appTransactions, domainMetadata }: Snapshot, state: ModelTable): boolean {
  const appIds = appTransactions.map(({ appId }) => appId)
  const domains = domainMetadata.map(({ domain }) => domain)
  return isSame(appIds, [...state.appIds.keys()]) && isSame(domains, [...state.domains.keys()])
}

function isSame(names: readonly string[], others: readonly string[]): boolean {
  return names.toSorted().join('\n') === others.toSorted().join('\n')
}
