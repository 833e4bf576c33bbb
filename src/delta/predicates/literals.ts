/** Literals of a predicate. */
import type { Fault } from '../faults.ts'
import { isStorableText, quoted } from '../text.ts'
import type { Literal } from './conditions.ts'
import { namedType, valueTypeNames } from './type-names.ts'
import type { LiteralType } from './value-type.ts'

/** A literal with its type. */
export interface TypedLiteral extends Literal {
  /** The type by the name that the literal gives it. */
  typeName: string
  valueType: LiteralType
}

/** A double holds any decimal of so many digits. */
const digitsExact = 15
const numeric: ReadonlySet<string> = new Set(['integer', 'decimal', 'floating'])

function isExactNumber(value: number, { family }: LiteralType): boolean {
  if (family === 'integer') return Number.isSafeInteger(value)
  return family === 'floating' || value === Number(value.toPrecision(digitsExact))
}

const numberLengthMax = 1000

/** A value as text; what is not text, or a number or boolean of that kind of type, is undefined. */
function textOf(value: unknown, valueType: LiteralType): string | undefined {
  if (typeof value === 'string') {
    // Only text has a use for so many characters, and reading a number can take the square of their time.
    const isTooLong = value.length > numberLengthMax && numeric.has(valueType.family)
    return isStorableText(value) && !isTooLong ? value : undefined
  }
  if (typeof value === 'boolean') return valueType.family === 'boolean' ? String(value) : undefined
  const isNumber = typeof value === 'bigint' || typeof value === 'number'
  return isNumber && numeric.has(valueType.family) ? String(value) : undefined
}

function valueFault(value: unknown, valueType: LiteralType): string | undefined {
  if (value === undefined) return 'is missing; a literal needs a value'
  if (value === null) return 'must not be null, which equals nothing; test a column with isNull'
  return typeof value === 'number' && !isExactNumber(value, valueType)
    ? 'has more digits than a JSON number keeps; write it as a string'
    : undefined
}

/** Reads a literal; or says what is wrong with it, by the member that is at fault. */
export function readLiteral(node: Readonly<Record<string, unknown>>): TypedLiteral | Fault {
  const { value, valueType: typeName } = node
  const valueType = typeof typeName === 'string' ? namedType(typeName) : undefined
  if (!valueType || typeof typeName !== 'string') {
    return { pointer: '/valueType', message: `must name the type of the value: ${valueTypeNames}` }
  }
  const fault = valueFault(value, valueType)
  if (fault !== undefined) return { pointer: '/value', message: fault }
  const text = textOf(value, valueType)
  const possibility = text === undefined ? undefined : valueType.literal(text)
  if (text === undefined || !possibility) {
    const shown = quoted(typeof value === 'string' ? value : String(value))
    const message = `${shown} cannot be read as ${typeName}; write ${valueType.example}`
    return { pointer: '/value', message }
  }
  return { text, value: possibility, typeName, valueType }
}
