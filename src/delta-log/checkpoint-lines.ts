import { rowsToLines } from './checkpoint-json.ts'
import type { ReadRange } from './parquet-column.ts'
import { openParquet, type ParquetRows } from './parquet-rows.ts'
import { readLimits } from './planned-reads.ts'

/** Lines that are made at once. */
const linesMax = 500

/**
 * The rows of a Parquet file of a checkpoint as lines of a log, some at a time; a row without an action is an empty
 * line. Memory does not grow with the file. Throws when it cannot be read.
 */
export async function* checkpointLines(
  read: ReadRange,
  size: number,
  limits = readLimits,
): AsyncGenerator<string[]> {
  const parquet = await openParquet(read, size, limits)
  const toLine = rowsToLines(parquet.schema)
  for await (const rows of parquet.rows(leftOut(parquet))) {
    for (let at = 0; at < rows.length; at += linesMax) {
      yield rows.slice(at, at + linesMax).map((row) => toLine(row) ?? '')
    }
  }
}

/**
 * What need not be read: values in a second form, statistics where every add has them in the first one, and of files, of
 * which there are many, what none has.
 */
function leftOut({ schema, isWhole, isEmpty }: ParquetRows): string[] {
  const ofFiles = schema.children.flatMap(({ element, children }) =>
    ['add', 'remove'].includes(element.name)
      ? children.map((child) => `${element.name}.${child.element.name}`)
      : [],
  )
  const parsed = ofFiles.filter((column) => column.endsWith('_parsed') && column !== statistics)
  const hasStatistics = isWhole('add.stats', 'add.path')
  // An empty map counts as none, yet says something: that the file has no partition values.
  const unused = ofFiles.filter((column) => !column.endsWith('.partitionValues') && isEmpty(column))
  return [...parsed, ...(hasStatistics ? [statistics] : []), ...unused]
}

const statistics = 'add.stats_parsed'
