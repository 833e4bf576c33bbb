/** What the metadata of a column may say: identity, generation, defaults, invariants, changes of type. */
import type { Configuration } from './column-mapping.ts'
import { isOn } from './configuration.ts'
import { allFields, type StructField, type StructType } from './data-types.ts'
import { type Fault, faultsMax } from './faults.ts'
import { quoted } from './text.ts'
import { typeChangesFault, typeChangesKey } from './type-widening.ts'

/** The properties of an identity column. */
export const identityKeys = {
  start: 'delta.identity.start',
  step: 'delta.identity.step',
  highWaterMark: 'delta.identity.highWaterMark',
  allowExplicitInsert: 'delta.identity.allowExplicitInsert',
} as const

/** The expression that a column takes where a writer gives no value. */
export const defaultKey = 'CURRENT_DEFAULT'
const generationKey = 'delta.generationExpression'
const invariantsKey = 'delta.invariants'

/** Columns of change data, which the table itself cannot have. */
const changeColumns: ReadonlySet<string> = new Set([
  '_change_type',
  '_commit_version',
  '_commit_timestamp',
])

function isWhole(value: unknown): boolean {
  return typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value))
}

function identityFault({ type, metadata }: StructField): string | undefined {
  const { start, step, highWaterMark, allowExplicitInsert } = identityKeys
  if (!Object.values(identityKeys).some((key) => metadata[key] !== undefined)) return undefined
  if (type !== 'long') return `has ${start} or its like, but only a long can be an identity column`
  if (!isWhole(metadata[start])) return `must have a whole number as ${start}`
  if (!isWhole(metadata[step]) || Number(metadata[step]) === 0) {
    return `must have a whole number other than 0 as ${step}`
  }
  if (metadata[highWaterMark] !== undefined && !isWhole(metadata[highWaterMark])) {
    return `must have a whole number as ${highWaterMark}, or none`
  }
  if (typeof metadata[allowExplicitInsert] !== 'boolean') {
    return `must have true or false as ${allowExplicitInsert}`
  }
  return metadata[generationKey] === undefined
    ? undefined
    : `is an identity column, and cannot have ${generationKey} too`
}

function isExpression(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== ''
}

function expressionFault({ type, metadata }: StructField): string | undefined {
  const unfit = [defaultKey, generationKey].find(
    (key) => metadata[key] !== undefined && !isExpression(metadata[key]),
  )
  if (unfit !== undefined) return `must have a SQL expression as ${unfit}`
  if (type !== 'variant') return undefined
  if (metadata[generationKey] !== undefined) return 'is a variant, which cannot be generated'
  const value = metadata[defaultKey]
  return typeof value === 'string' && value.trim().toLowerCase() !== 'null'
    ? `is a variant, whose ${defaultKey} can only be null`
    : undefined
}

function hasInvariant(text: unknown): boolean {
  if (typeof text !== 'string') return false
  try {
    return isExpression(JSON.parse(text)?.expression?.expression)
  } catch {
    return false
  }
}

function invariantFault({ metadata }: StructField): string | undefined {
  const value = metadata[invariantsKey]
  if (value === undefined || hasInvariant(value)) return undefined
  return `must have the text {"expression":{"expression":"…"}} as ${invariantsKey}`
}

function changesFault({ type, metadata }: StructField): string | undefined {
  const fault = typeChangesFault(type, metadata)
  return fault && `has ${typeChangesKey} that ${fault}`
}

const columnChecks = [identityFault, expressionFault, invariantFault, changesFault]

function nameFaults(schema: StructType, configuration: Configuration): Fault[] {
  if (!isOn(configuration, 'delta.enableChangeDataFeed')) return []
  return schema.fields.flatMap(({ name }, index) => {
    if (!changeColumns.has(name.toLowerCase())) return []
    const message = `column ${quoted(name)} has a name of the change data feed; rename it or leave the feed off`
    return { pointer: `/schema/fields/${index}/name`, message }
  })
}

/** What is wrong in what columns say of themselves, at most 100 faults. Pointers begin at `/schema`. */
export function columnFaults(schema: StructType, configuration: Configuration): Fault[] {
  const faults = nameFaults(schema, configuration)
  for (const { field, pointer, path } of allFields(schema)) {
    for (const check of columnChecks) {
      const fault = check(field)
      if (fault === undefined) continue
      faults.push({
        pointer: `/schema${pointer}/metadata`,
        message: `column ${quoted(path)} ${fault}`,
      })
    }
    if (faults.length >= faultsMax) break
  }
  return faults.slice(0, faultsMax)
}
