import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { commitFileName } from '../../src/delta/log-files.ts'

/** A log that another writer has written: for each version its lines, or undefined where there is no file. */
export async function writeForeignLog(
  location: string,
  versions: readonly (readonly (object | string)[] | undefined)[],
  { modifiedAt = 1_600_000_000_000 } = {},
): Promise<void> {
  const log = join(location, '_delta_log')
  await mkdir(log, { recursive: true })
  for (const [version, lines] of versions.entries()) {
    if (lines === undefined) continue
    const path = join(log, commitFileName(version))
    await writeFile(
      path,
      linesOf(lines)
        .map((line) => `${line}\n`)
        .join(''),
    )
    const time = (modifiedAt + version * 1000) / 1000
    await utimes(path, time, time)
  }
}

/** The lines of a version, as they stand in its file. */
export function linesOf(lines: readonly (object | string)[]): string[] {
  return lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)))
}

export const legacyProtocol = { protocol: { minReaderVersion: 1, minWriterVersion: 2 } }

export const foreignMetadata = {
  metaData: {
    id: '5fba94ed-9794-4965-ba6e-6ee3c0d22af9',
    format: { provider: 'parquet', options: {} },
    schemaString:
      '{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}',
    partitionColumns: [],
    configuration: {},
    createdTime: 1_600_000_000_000,
  },
}

/** What the first version of a table holds. */
export const beginning = [
  { commitInfo: { timestamp: 1, operation: 'CREATE TABLE' } },
  legacyProtocol,
  foreignMetadata,
]
