import type { SchemaElement } from 'hyparquet'
import {
  type DataType,
  type Decimal,
  parseDecimal,
  type StructField,
  type StructType,
} from '../delta/data-types.ts'

type Stored = Omit<SchemaElement, 'name' | 'repetition_type'>

/** How values of Delta's primitive types are stored (PROTOCOL.md, "Delta Data Type to Parquet Type Mappings"). */
const primitives: Readonly<Record<string, Stored>> = {
  boolean: { type: 'BOOLEAN' },
  byte: {
    type: 'INT32',
    converted_type: 'INT_8',
    logical_type: { type: 'INTEGER', bitWidth: 8, isSigned: true },
  },
  short: {
    type: 'INT32',
    converted_type: 'INT_16',
    logical_type: { type: 'INTEGER', bitWidth: 16, isSigned: true },
  },
  integer: { type: 'INT32' },
  long: { type: 'INT64' },
  float: { type: 'FLOAT' },
  double: { type: 'DOUBLE' },
  date: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } },
  timestamp: {
    type: 'INT64',
    converted_type: 'TIMESTAMP_MICROS',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
  },
  // The older kind of annotation knows only instants.
  timestamp_ntz: {
    type: 'INT64',
    logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'MICROS' },
  },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  binary: { type: 'BYTE_ARRAY' },
}

/** Bytes that hold every decimal of a precision. */
function decimalBytes(precision: number): number {
  return Math.ceil((precision * Math.log2(10) + 1) / 8)
}

function storedDecimal({ precision, scale }: Decimal): Stored {
  const common = {
    converted_type: 'DECIMAL',
    precision,
    scale,
    logical_type: { type: 'DECIMAL', precision, scale },
  } as const
  if (precision <= 9) return { type: 'INT32', ...common }
  if (precision <= 18) return { type: 'INT64', ...common }
  return { type: 'FIXED_LEN_BYTE_ARRAY', type_length: decimalBytes(precision), ...common }
}

function storedPrimitive(type: string): Stored {
  const decimal = parseDecimal(type)
  const stored = decimal ? storedDecimal(decimal) : primitives[type]
  if (stored === undefined) throw new RangeError(`a checkpoint stores no values of type ${type}`)
  return stored
}

type Repetition = 'REQUIRED' | 'OPTIONAL' | 'REPEATED'

/** An element and those below it. */
function elementsOf(name: string, type: DataType, repetition_type: Repetition): SchemaElement[] {
  if (typeof type === 'string') return [{ name, repetition_type, ...storedPrimitive(type) }]
  if (type.type === 'struct') {
    return [{ name, repetition_type, num_children: type.fields.length }, ...fieldsOf(type.fields)]
  }
  if (type.type === 'array') {
    return [
      {
        name,
        repetition_type,
        num_children: 1,
        converted_type: 'LIST',
        logical_type: { type: 'LIST' },
      },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elementsOf('element', type.elementType, 'OPTIONAL'),
    ]
  }
  return [
    {
      name,
      repetition_type,
      num_children: 1,
      converted_type: 'MAP',
      logical_type: { type: 'MAP' },
    },
    { name: 'key_value', repetition_type: 'REPEATED', num_children: 2 },
    ...elementsOf('key', type.keyType, 'REQUIRED'),
    ...elementsOf('value', type.valueType, 'OPTIONAL'),
  ]
}

function fieldsOf(fields: readonly StructField[]): SchemaElement[] {
  return fields.flatMap(({ name, type }) => elementsOf(name, type, 'OPTIONAL'))
}

/** The schema of a Parquet file with these columns, all of them optional. */
export function parquetSchema({ fields }: StructType): SchemaElement[] {
  return [{ name: 'root', num_children: fields.length }, ...fieldsOf(fields)]
}
