import { isAbsolute, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { type Settings, SettingsSchema } from './settings.ts'
import { isS3Location, parseS3Location } from './storage/s3-location.ts'

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}`
  : Lowercase<Name>

/** What may be left out is there, and undefined. */
type Value<Name extends keyof Settings> =
  Pick<Settings, Name> extends Required<Pick<Settings, Name>>
    ? Settings[Name]
    : Settings[Name] | undefined

type NamedSettings = { [Name in keyof Required<Settings> as CamelCase<Name>]: Value<Name> }

/** The settings as they are worked with, `DATABASE_URL` as `databaseUrl`; lists, and what depends on others, are resolved. */
export type Config = Readonly<
  Omit<NamedSettings, 'mirrorRoots' | 's3ForcePathStyle'> & {
    mirrorRoots: readonly string[]
    s3ForcePathStyle: boolean
  }
>

const { properties } = SettingsSchema as unknown as {
  properties: Record<string, { type?: string }>
}

/** A colon, but that of `s3://`. */
const rootSeparator = /(?<!(?:^|:)s3a?):|:(?!\/\/)/i

/** Thrown with every fault of the configuration, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
    this.faults = faults
  }
}

/** Reads the settings from environment variables; throws `ConfigError` that lists every fault at once. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const values = readValues(env)
  const faults = faultsOf(values)
  const dataDir = resolve(values.DATA_DIR)
  const mirrorRoots = values.MIRROR_ROOTS?.split(rootSeparator) ?? [resolve(dataDir, 'tables')]
  faults.push(...mirrorRoots.flatMap(faultOfRoot))
  if (faults.length > 0) throw new ConfigError(faults)
  const isPathStyle = values.S3_FORCE_PATH_STYLE ?? String(values.S3_ENDPOINT !== undefined)
  const named = Object.keys(properties).map((name) => [
    camelCase(name),
    values[name as keyof Settings],
  ])
  const resolved = { dataDir, mirrorRoots, s3ForcePathStyle: isPathStyle === 'true' }
  return Object.freeze({ ...Object.fromEntries(named), ...resolved })
}

function camelCase(name: string): string {
  return name.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** The settings that are given, numbers as such; what is empty is not given. */
function readValues(env: Readonly<Record<string, string | undefined>>): Settings {
  const given = Object.entries(properties).flatMap(([name, schema]) => {
    const text = env[name]
    if (text === undefined || text === '') return []
    return [[name, isNumber(text, schema.type) ? Number(text) : text]]
  })
  return Object.fromEntries(given)
}

/** Adds the defaults to what was given, and answers what is wrong with it. */
function faultsOf(values: Settings): string[] {
  const validate = new Ajv({ allErrors: true, useDefaults: true, strict: false }).compile(
    SettingsSchema,
  )
  validate(values)
  const wrong = new Set(validate.errors?.map(({ instancePath }) => instancePath.slice(1)))
  if (values.DATABASE_URL !== undefined && !isDatabaseUrl(values.DATABASE_URL)) {
    wrong.add('DATABASE_URL')
  }
  return Object.entries(properties).flatMap(([name, schema]) => {
    const value = values[name as keyof typeof values]
    return wrong.has(name) ? [`${name} ${expectation(schema)}${shown(name, String(value))}`] : []
  })
}

function faultOfRoot(root: string): string[] {
  const isRight = isS3Location(root) ? typeof parseS3Location(root) !== 'string' : isAbsolute(root)
  return isRight
    ? []
    : [`MIRROR_ROOTS must list absolute folders or s3://bucket/prefix, not "${root}"`]
}

/** Whether the URL can be read, and as it was meant: a password with a bare "/" or "?" ends up in the path. */
function isDatabaseUrl(text: string): boolean {
  // Without a host the URL means a socket of this machine.
  const url = URL.parse(text) ?? URL.parse(text.replace('@/', '@localhost/'))
  return url !== null && !`${url.pathname}${url.search}${url.hash}`.includes('@')
}

function isNumber(text: string, type: string | undefined): boolean {
  if (type === 'integer') return /^-?\d{1,16}$/.test(text)
  return type === 'number' && /^\d(\.\d{1,16})?$/.test(text)
}

function expectation(schema: object): string {
  const {
    type,
    minimum,
    maximum,
    enum: values,
    mustBe,
  } = schema as {
    type?: string
    minimum?: number
    maximum?: number
    enum?: readonly string[]
    mustBe?: string
  }
  if (minimum !== undefined) {
    return `must be ${type === 'integer' ? 'an integer' : 'a number'} from ${minimum} to ${maximum}`
  }
  if (values !== undefined) return `must be one of ${values.join(', ')}`
  return mustBe === undefined ? 'must not be empty' : `must be ${mustBe}`
}

/** A URL may hold a password, so its value is never shown. */
function shown(name: string, text: string): string {
  return /_(URL|ENDPOINT)$/.test(name) ? '' : `, not "${text}"`
}
