/** The rules of partitionValues (PROTOCOL.md, "Partition Value Serialization"). */
import { isStorableText, listed, quoted } from '../text.ts'
import type { Report } from '../violations.ts'
import type { TypedColumn } from './commit.ts'

type Values = Readonly<Record<string, string | null>>

function checkKeys(values: Values, columns: readonly TypedColumn[], report: Report): void {
  const keys = Object.keys(values)
  const isSame =
    keys.length === columns.length &&
    columns.every(({ physicalName }) => Object.hasOwn(values, physicalName))
  if (isSame) return
  const expected = columns.map(({ physicalName }) => physicalName)
  const message = `partitionValues must have a value for each partition column and for nothing else: expected ${listed(expected)}, found ${listed(keys)}`
  report('partition-columns-mismatch', message)
}

function checkValue(value: string, column: TypedColumn, report: Report): void {
  const { name, type, format } = column
  if (!isStorableText(value)) {
    const message = `the value of partition column ${quoted(name)} holds a NUL or unpaired surrogate`
    report('text-not-storable', message)
  } else if (format !== undefined && value !== '' && !format.reads(value)) {
    const message = `${quoted(value)} cannot be read as ${type} for partition column ${quoted(name)}; write ${format.example}, or null`
    report('partition-value-invalid', message)
  }
}

/** Judges the partition values of a file that is added. */
export function checkPartitionValues(
  values: Values,
  columns: readonly TypedColumn[],
  report: Report,
): void {
  checkKeys(values, columns, report)
  for (const column of columns) {
    const value = Object.hasOwn(values, column.physicalName) ? values[column.physicalName] : null
    if (typeof value === 'string') checkValue(value, column, report)
  }
}
