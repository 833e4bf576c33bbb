/** Rows of a checkpoint from lines of a log. */
import type { StructType } from '../data-types.ts'
import { parseExact } from '../json.ts'
import { type CheckpointContent, checkpointSchema } from './schema.ts'
import type { CheckpointSettings } from './settings.ts'
import {
  actionReader,
  parseStatisticsExactly,
  partitionStructReader,
  type ReadValue,
  statisticsStructReader,
} from './values.ts'

/** A row: the column that is not null, and what it holds. */
export interface CheckpointRow {
  column: string
  value: unknown
}

/** Makes rows for a file of a checkpoint. Throws a RangeError for an action that its columns cannot hold. */
export function rowMaker(
  settings: CheckpointSettings,
  content: CheckpointContent,
): (line: string) => CheckpointRow {
  const columns = checkpointSchema(settings, content).fields
  const readers = new Map(
    columns.map(({ name, type }) => [
      name,
      name === 'add' ? addReader(type as StructType, settings) : actionReader(type),
    ]),
  )
  return (line) => {
    const [[column, body] = ['', undefined]] = Object.entries(parseExact(line) as object)
    const read = readers.get(column)
    if (read === undefined) throw new RangeError(`a checkpoint has no column for ${column}`)
    return { column, value: read(body) }
  }
}

const parsed: ReadonlySet<string> = new Set(['stats_parsed', 'partitionValues_parsed'])

/** Reads an add, whose columns for parsed values come from others. */
function addReader(type: StructType, settings: CheckpointSettings): ReadValue {
  const fields = type.fields.filter(({ name }) => !parsed.has(name))
  const read = actionReader({ type: 'struct', fields })
  const readStatistics = settings.statistics && statisticsStructReader(settings.statistics)
  const readPartitions = settings.partitions && partitionStructReader(settings.partitions)
  return (written) => {
    const { stats, partitionValues } = written as { stats?: unknown; partitionValues?: unknown }
    return Object.assign(read(written) as object, {
      ...(readStatistics && { stats_parsed: readStatistics(parseStatisticsExactly(stats)) }),
      ...(readPartitions && { partitionValues_parsed: readPartitions(partitionValues) }),
    })
  }
}
