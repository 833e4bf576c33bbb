/** Which type a name stands for, in a schema and in a predicate. */
import type { StructField } from '../data-types.ts'
import {
  decimalType,
  doubleType,
  floatType,
  integerType,
  plainDecimalType,
  widenedDoubleType,
} from './number-types.ts'
import { binaryType, booleanType, looseStringType, stringType } from './text-types.ts'
import { dateType, timestampNtzType, timestampType } from './time-types.ts'
import type { LiteralType, ValueType } from './value-type.ts'

const [byte, short, integer, long] = ['byte', 'short', 'integer', 'long'].map(integerType)

/** The types of Delta that have an order, by their names in a schema. */
const orderedTypes: ReadonlyMap<string, ValueType | undefined> = new Map([
  ['byte', byte],
  ['short', short],
  ['integer', integer],
  ['long', long],
  ['float', floatType],
  ['double', doubleType],
  ['boolean', booleanType],
  ['string', stringType],
  ['binary', binaryType],
  ['date', dateType],
  ['timestamp', timestampType],
  ['timestamp_ntz', timestampNtzType],
])

/** Names by which predicates know types, besides those of a schema. */
const otherNames: ReadonlyMap<string, LiteralType | undefined> = new Map([
  ['bool', booleanType],
  ['int', integer],
  ['decimal', plainDecimalType],
])

/** What may stand as `valueType`, for messages. */
export const valueTypeNames =
  'bool, byte, short, int, long, float, double, decimal, decimal(p,s), string, binary, date, timestamp, timestamp_ntz'

/** The type that a predicate names as `valueType`; undefined when there is none of that name. */
export function namedType(name: string): LiteralType | undefined {
  return orderedTypes.get(name) ?? otherNames.get(name) ?? decimalType(name)
}

/** Readers that know collations, or pad `char(n)`, find other strings equal than those of the same bytes. */
function isLooseString({ metadata }: StructField): boolean {
  const declared = metadata['__CHAR_VARCHAR_TYPE_STRING']
  const isPadded = typeof declared === 'string' && declared.startsWith('char')
  return isPadded || metadata['__COLLATIONS'] !== undefined
}

/** The type of a column as its values are read; undefined when they have no order. */
export function columnValueType(field: StructField): ValueType | undefined {
  const { type, metadata } = field
  if (typeof type !== 'string') return undefined
  if (type === 'string' && isLooseString(field)) return looseStringType
  if (type === 'double' && metadata['delta.typeChanges'] !== undefined) return widenedDoubleType
  return orderedTypes.get(type) ?? decimalType(type)
}
