import { isAbsolute, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { parseDatabaseUrl } from './database/database-url.ts'
import { type TlsSettings, tlsFaults } from './database/tls-settings.ts'
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
  Omit<
    NamedSettings,
    'mirrorRoots' | 's3ForcePathStyle' | 'databaseTestOnAcquire' | 'replicaUrls'
  > & {
    mirrorRoots: readonly string[]
    s3ForcePathStyle: boolean
    databaseTestOnAcquire: boolean
    replicaUrls: readonly string[]
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
  faults.push(...mirrorRoots.flatMap(faultOfRoot), ...faultsOfPool(values))
  if (faults.length === 0) faults.push(...faultsOfTls(values))
  if (faults.length > 0) throw new ConfigError(faults)
  const isPathStyle = values.S3_FORCE_PATH_STYLE ?? String(values.S3_ENDPOINT !== undefined)
  const named = Object.keys(properties).map((name) => [
    camelCase(name),
    values[name as keyof Settings],
  ])
  const resolved = {
    dataDir,
    mirrorRoots,
    s3ForcePathStyle: isPathStyle === 'true',
    replicaUrls: replicaUrlsOf(values),
    databaseTestOnAcquire: values.DATABASE_TEST_ON_ACQUIRE === 'true',
  }
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
  const wrong = new Map(
    validate.errors?.map(({ instancePath }) => [instancePath.slice(1), undefined]),
  ) as Map<string, string | undefined>
  if (values.DATABASE_URL !== undefined && !wrong.has('DATABASE_URL')) {
    const url = parseDatabaseUrl(values.DATABASE_URL)
    if (typeof url === 'string') wrong.set('DATABASE_URL', url)
  }
  if (replicaUrlsOf(values).some((url) => !isReplicaUrl(url))) wrong.set('REPLICA_URLS', undefined)
  return Object.entries(properties).flatMap(([name, schema]) => {
    if (!wrong.has(name)) return []
    const mustBe = wrong.get(name)
    const expected = expectation(mustBe === undefined ? schema : { mustBe })
    return `${name} ${expected}${shown(name, String(values[name as keyof Settings]))}`
  })
}

function faultsOfPool({ DATABASE_POOL_MIN: min, DATABASE_POOL_MAX: max }: Settings): string[] {
  return min > max ? [`DATABASE_POOL_MIN must not be above DATABASE_POOL_MAX, which is ${max}`] : []
}

/** A comma may stand in a password. */
function replicaUrlsOf({ REPLICA_URLS: list }: Settings): string[] {
  return list?.split(/,(?=postgres(?:ql)?:\/\/)/i) ?? []
}

/** A replica is one PostgreSQL, and none that is looked for. */
function isReplicaUrl(text: string): boolean {
  const url = parseDatabaseUrl(text)
  return typeof url === 'object' && url.hosts.length === 1 && !url.wantsPrimary
}

function faultsOfTls(values: Settings): string[] {
  const named = [values.DATABASE_URL ?? '', ...replicaUrlsOf(values)].map((text, index) => {
    const url = parseDatabaseUrl(text)
    const tls = typeof url === 'object' ? url.tls : {}
    return tlsFaults(tlsOfSettings(values), tls, index === 0 ? 'DATABASE_URL' : 'REPLICA_URLS')
  })
  return [...new Set(named.flat())]
}

function tlsOfSettings(values: Settings): TlsSettings {
  return {
    mode: values.DATABASE_TLS_MODE,
    rootFile: values.DATABASE_TLS_ROOT_FILE,
    certificateFile: values.DATABASE_TLS_CERTIFICATE_FILE,
    keyFile: values.DATABASE_TLS_KEY_FILE,
  }
}

function faultOfRoot(root: string): string[] {
  const isRight = isS3Location(root) ? typeof parseS3Location(root) !== 'string' : isAbsolute(root)
  return isRight
    ? []
    : [`MIRROR_ROOTS must list absolute folders or s3://bucket/prefix, not "${root}"`]
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
  return /_(URLS?|ENDPOINT)$/.test(name) ? '' : `, not "${text}"`
}
