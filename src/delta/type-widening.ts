/** Changes of a column's type that leave its files readable (PROTOCOL.md, "Type Widening"). */
import { type DataType, parseDecimal } from './data-types.ts'

const integers: readonly string[] = ['byte', 'short', 'integer', 'long']
/** The least decimal that holds every value of an integer type. */
const digits: ReadonlyMap<string, number> = new Map([
  ['byte', 10],
  ['short', 10],
  ['integer', 10],
  ['long', 20],
])

/** Whether two types are the same, however a decimal is written. */
export function isSameType(a: string, b: string): boolean {
  const [one, other] = [parseDecimal(a), parseDecimal(b)]
  if (one === undefined || other === undefined) return a === b
  return one.precision === other.precision && one.scale === other.scale
}

function widensInteger(from: string, to: string): boolean {
  return integers.includes(from) && integers.indexOf(to) > integers.indexOf(from)
}

function widensToDecimal(from: string, to: string): boolean {
  const target = parseDecimal(to)
  if (target === undefined) return false
  const source = parseDecimal(from) ?? { precision: digits.get(from), scale: 0 }
  if (source.precision === undefined) return false
  const moreScale = target.scale - source.scale
  return moreScale >= 0 && target.precision - source.precision >= moreScale
}

/** Whether the feature allows this change of a primitive type. */
export function isWidening(from: string, to: string): boolean {
  return (
    widensInteger(from, to) ||
    (to === 'double' && ['float', 'byte', 'short', 'integer'].includes(from)) ||
    (from === 'date' && to === 'timestamp_ntz') ||
    (!isSameType(from, to) && widensToDecimal(from, to))
  )
}

/** Whether a change needs no feature: Parquet stores these integers alike, and files have no void columns. */
export function isAlwaysReadable(from: string, to: string): boolean {
  return from === 'void' || (to !== 'long' && widensInteger(from, to))
}

/** One change of type, as the metadata of a column tells it. */
export interface TypeChange {
  fromType: string
  toType: string
  /** Where in an array or map; undefined for the column itself. */
  fieldPath: string | undefined
}

/** The property of a column that tells its changes of type. */
export const typeChangesKey = 'delta.typeChanges'

function toChange(value: unknown): TypeChange | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { fromType, toType, fieldPath } = value as Record<string, unknown>
  if (typeof fromType !== 'string' || typeof toType !== 'string') return undefined
  if (fieldPath !== undefined && typeof fieldPath !== 'string') return undefined
  return { fromType, toType, fieldPath }
}

/** The changes of type that a column tells; undefined where they cannot be read. */
export function readTypeChanges(
  metadata: Readonly<Record<string, unknown>>,
): TypeChange[] | undefined {
  const told = metadata[typeChangesKey] ?? []
  if (!Array.isArray(told)) return undefined
  const changes = told.flatMap((value) => toChange(value) ?? [])
  return changes.length === told.length ? changes : undefined
}

/** The type at a place in an array or map, such as `element.value`. */
function typeAt(type: DataType, fieldPath: string | undefined): DataType | undefined {
  if (fieldPath === undefined) return type
  let inner: DataType | undefined = type
  for (const part of fieldPath.split('.')) {
    if (inner === undefined || typeof inner === 'string') return undefined
    if (inner.type === 'array') inner = part === 'element' ? inner.elementType : undefined
    else if (inner.type === 'map') inner = { key: inner.keyType, value: inner.valueType }[part]
    else return undefined
  }
  return inner
}

function changeFault({ fromType, toType }: TypeChange): string | undefined {
  if (isWidening(fromType, toType)) return undefined
  return `tells a change from ${fromType} to ${toType}, which is no widening`
}

/** What is wrong with the changes of type that a column tells, to be read behind `delta.typeChanges`. */
export function typeChangesFault(
  type: DataType,
  metadata: Readonly<Record<string, unknown>>,
): string | undefined {
  const changes = readTypeChanges(metadata)
  if (changes === undefined) return 'must be a list of {fromType, toType, fieldPath?}'
  const newest = new Map<string | undefined, TypeChange>()
  for (const change of changes) {
    const before = newest.get(change.fieldPath)
    if (before !== undefined && !isSameType(before.toType, change.fromType)) {
      return `tells a change to ${before.toType} and then one from ${change.fromType}`
    }
    const fault = changeFault(change)
    if (fault !== undefined) return fault
    newest.set(change.fieldPath, change)
  }
  for (const { toType, fieldPath } of newest.values()) {
    const now = typeAt(type, fieldPath)
    if (typeof now === 'string' && isSameType(now, toType)) continue
    const place = fieldPath === undefined ? '' : ` at ${fieldPath}`
    return `tells a change to ${toType}${place}, which is not the type there now`
  }
  return undefined
}
