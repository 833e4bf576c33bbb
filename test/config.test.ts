import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/config.ts'
import { SettingsSchema } from '../src/settings.ts'

/** What the program knows of a setting. */
interface Setting {
  description: string
  default?: string | number
}

const settings = Object.entries(SettingsSchema.properties) as unknown as [string, Setting][]

t.test('without settings the defaults hold', async (t) => {
  t.match(loadConfig({}), {
    host: '127.0.0.1',
    port: 8080,
    databaseUrl: undefined,
    dataDir: resolve('data'),
    mirrorRoots: [resolve('data', 'tables')],
    logLevel: 'info',
    idempotencyRetentionMs: 86_400_000,
  })
})

t.test('an empty setting counts as none', async (t) => {
  const empty = Object.fromEntries(settings.map(([name]) => [name, '']))
  t.strictSame(loadConfig(empty), loadConfig({}))
})

t.test('a configuration cannot be changed', async (t) => {
  t.ok(Object.isFrozen(loadConfig({})))
})

t.test('every setting reaches the configuration', async (t) => {
  const given: Record<string, string> = {
    HOST: '0.0.0.0',
    DATABASE_URL: 'postgres://db/deltaworks',
    DATABASE_CONNECTION_AGE_MS_MAX: '60000',
    DATABASE_TEST_ON_ACQUIRE: 'true',
    DATABASE_TLS_MODE: 'verify-full',
    DATABASE_TLS_ROOT_FILE: '/etc/root.pem',
    DATABASE_TLS_CERTIFICATE_FILE: '/etc/own.pem',
    DATABASE_TLS_KEY_FILE: '/etc/own.key',
    DATA_DIR: '/srv/deltaworks',
    MIRROR_ROOTS: '/srv/one:s3://bucket/two:/srv/three',
    S3_ENDPOINT: 'https://s3.example.com:9000',
    S3_REGION: 'eu-central-1',
    S3_FORCE_PATH_STYLE: 'false',
    LOG_LEVEL: 'warn',
    S3_ATTEMPTS_MAX: '7',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    OTEL_TRACES_SAMPLER_ARG: '0.5',
  }
  for (const [index, [name, setting]] of settings.entries()) {
    if (typeof setting.default === 'number') given[name] = String(given[name] ?? 1000 + index)
  }
  const config = new Map<string, unknown>(Object.entries(loadConfig(given)))
  t.equal(config.size, settings.length)
  for (const [name, text] of Object.entries(given)) {
    const key = name.toLowerCase().replace(/_(\w)/g, (_, letter) => letter.toUpperCase())
    const value = config.get(key)
    t.equal(Array.isArray(value) ? value.join(':') : String(value), text, name)
  }
})

const wrong: [Record<string, string>, string][] = [
  [{ PORT: '65536' }, 'PORT must be an integer from 0 to 65535, not "65536"'],
  [{ PORT: '80.5' }, 'PORT must be an integer from 0 to 65535, not "80.5"'],
  [{ PORT: '0x50' }, 'PORT must be an integer from 0 to 65535, not "0x50"'],
  [{ PORT: ' 80' }, 'PORT must be an integer from 0 to 65535, not " 80"'],
  [{ DATABASE_POOL_MAX: '0' }, `must be an integer from 1 to ${Number.MAX_SAFE_INTEGER}`],
  [{ SHUTDOWN_MS_MAX: '2147483648' }, 'must be an integer from 1 to 2147483647'],
  [
    { OTEL_TRACES_SAMPLER_ARG: '1.1' },
    'OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not "1.1"',
  ],
  [{ OTEL_TRACES_SAMPLER_ARG: 'half' }, 'must be a number from 0 to 1, not "half"'],
  [
    { LOG_LEVEL: 'loud' },
    'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace, silent',
  ],
  [
    { MIRROR_ROOTS: '/a:b' },
    'MIRROR_ROOTS must list absolute folders or s3://bucket/prefix, not "b"',
  ],
  [
    { MIRROR_ROOTS: '/a:' },
    'MIRROR_ROOTS must list absolute folders or s3://bucket/prefix, not ""',
  ],
]

wrong.push(
  [{ MIRROR_ROOTS: 's3://b' }, 'or s3://bucket/prefix, not "s3://b"'],
  [{ MIRROR_ROOTS: 's3://bucket//a' }, 'or s3://bucket/prefix, not "s3://bucket//a"'],
  [{ S3_ENDPOINT: 'localhost:9000' }, 'S3_ENDPOINT must be a URL like https://s3.example.com'],
  [{ S3_REGION: 'us east' }, 'S3_REGION must be the name of a region, such as us-east-1, not'],
  [{ S3_FORCE_PATH_STYLE: 'yes' }, 'S3_FORCE_PATH_STYLE must be one of true, false, not "yes"'],
)

const tlsFiles = {
  DATABASE_TLS_CERTIFICATE_FILE: '/own.pem',
  DATABASE_TLS_KEY_FILE: '/own.key',
}

wrong.push(
  [
    { DATABASE_POOL_MIN: '3', DATABASE_POOL_MAX: '2' },
    'DATABASE_POOL_MIN must not be above DATABASE_POOL_MAX, which is 2',
  ],
  [{ DATABASE_TEST_ON_ACQUIRE: '1' }, 'DATABASE_TEST_ON_ACQUIRE must be one of true, false'],
  [
    { DATABASE_TLS_MODE: 'on' },
    'must be one of disable, allow, prefer, require, verify-ca, verify-',
  ],
  [
    { DATABASE_TLS_MODE: 'disable', DATABASE_URL: 'postgres://h/d?sslmode=require' },
    'DATABASE_TLS_MODE must not contradict the sslmode in DATABASE_URL: leave one of them out',
  ],
  [
    {
      DATABASE_URL: 'postgres://h/d?sslmode=verify-full&sslrootcert=/a.pem',
      DATABASE_TLS_ROOT_FILE: '/b.pem',
    },
    'DATABASE_TLS_ROOT_FILE must not contradict the sslrootcert in DATABASE_URL',
  ],
  [{ DATABASE_TLS_MODE: 'verify-ca' }, 'is verify-ca, which needs DATABASE_TLS_ROOT_FILE'],
  [tlsFiles, 'DATABASE_TLS_CERTIFICATE_FILE needs a DATABASE_TLS_MODE that uses TLS'],
  [
    { ...tlsFiles, DATABASE_TLS_MODE: 'disable' },
    'DATABASE_TLS_CERTIFICATE_FILE needs a DATABASE_TLS_MODE that uses TLS',
  ],
  [
    { ...tlsFiles, DATABASE_TLS_MODE: 'require', DATABASE_TLS_KEY_FILE: '' },
    'DATABASE_TLS_CERTIFICATE_FILE and DATABASE_TLS_KEY_FILE need each other',
  ],
  [
    { DATABASE_TLS_MODE: 'prefer', DATABASE_TLS_ROOT_FILE: '/a.pem' },
    'DATABASE_TLS_ROOT_FILE is not looked at when DATABASE_TLS_MODE is prefer',
  ],
  [{ DATABASE_URL: 'postgres://h/d?sslmode=no-verify' }, 'a URL whose sslmode is one of disable,'],
  [{ DATABASE_URL: 'postgres://h/d?ssl=true' }, 'says of TLS no more than sslmode, .*"ssl"'],
  [
    { DATABASE_URL: 'postgres://h/d?target_session_attrs=standby' },
    'whose target_session_attrs, if it says any, are read-write or primary',
  ],
  [{ DATABASE_URL: 'postgres://h,/d' }, 'DATABASE_URL must be a URL like postgres://'],
  [{ DATABASE_URL: 'postgres:///d?host=a,b' }, 'a URL that lists its hosts before the database'],
)

for (const [env, message] of wrong) {
  t.test(`${JSON.stringify(env)} is refused`, async (t) => {
    t.throws(() => loadConfig(env), { name: 'ConfigError', message: `has a fault:\n` })
    t.throws(() => loadConfig(env), {
      message: message.includes('.*') ? new RegExp(message) : message,
    })
  })
}

t.test('a database URL that can be misread is refused and not shown', async (t) => {
  const urls = [
    'mysql://u:s3cret@h/db',
    's3cret',
    'postgres://u:s3cret@h:port/db',
    'postgres://u:s3cret@h:65536/db',
    'postgres://u:s3c/ret@h/db',
    'postgres://u:12/s3cret@h/db',
    'postgres://u:12?s3cret@h/db',
    'postgres://u:s3c#ret@h/db',
  ]
  for (const DATABASE_URL of urls) {
    t.throws(() => loadConfig({ DATABASE_URL }), { name: 'ConfigError' }, DATABASE_URL)
    t.notMatch(faultsOf({ DATABASE_URL }).join(), /s3c|ret/)
  }
})

t.test('an S3 endpoint with credentials is refused and not shown', async (t) => {
  const faults = faultsOf({ S3_ENDPOINT: 'https://user:s3cret@s3.example.com' })
  t.match(faults.join(), /^S3_ENDPOINT must be a URL like .* without credentials/)
  t.notMatch(faults.join(), 's3cret')
})

const splits: [text: string, roots: string[]][] = [
  ['/a:/b', ['/a', '/b']],
  ['s3://bucket/a', ['s3://bucket/a']],
  ['/a:s3://bucket:s3a://other/b/c:/d', ['/a', 's3://bucket', 's3a://other/b/c', '/d']],
  ['/s3:/b', ['/s3', '/b']],
]
for (const [text, roots] of splits) {
  t.strictSame(loadConfig({ MIRROR_ROOTS: text }).mirrorRoots, roots, text)
}

t.test('buckets stand in the path where the endpoint is not Amazon', async (t) => {
  const S3_ENDPOINT = 'http://127.0.0.1:9000'
  t.equal(loadConfig({}).s3ForcePathStyle, false)
  t.equal(loadConfig({ S3_ENDPOINT }).s3ForcePathStyle, true)
  t.equal(loadConfig({ S3_ENDPOINT, S3_FORCE_PATH_STYLE: 'false' }).s3ForcePathStyle, false)
})

t.test('every way to write a database URL is taken', async (t) => {
  const urls = [
    'postgres://h',
    'postgresql://u:p@h:5432/db',
    'postgres://u:p%40%2F%3F%23@h/db?sslmode=require',
    'postgres://u:a@b@h/db',
    'postgres://u:100%@h/db',
    'postgres://u@[::1]:5432/db',
    'postgres://u@%2Frun%2Fpostgresql/db',
    'postgres://u@/db?host=/run/postgresql',
    'postgres:///db',
    'postgres://u:p%40@h1:5432,h2,[::1]:5433/db?target_session_attrs=read-write&sslmode=require',
  ]
  for (const url of urls) t.equal(loadConfig({ DATABASE_URL: url }).databaseUrl, url)
})

t.test('all faults are told at once', async (t) => {
  const env = { PORT: 'x', LOG_LEVEL: 'x', DATABASE_URL: 'x', MIRROR_ROOTS: 'x', ACTIONS_MAX: 'x' }
  const faults = faultsOf(env)
  t.strictSame(faults.map((fault) => fault.split(' ', 1)[0]).sort(), Object.keys(env).sort())
  t.throws(() => loadConfig(env), { message: `has 5 faults:\n  ${faults.join('\n  ')}` })
})

t.test('.env.example lists every setting with its meaning and its default', async (t) => {
  const text = await readFile(new URL('../.env.example', import.meta.url), 'utf8')
  const entries = text.trim().split('\n\n')
  t.strictSame(
    entries,
    settings.map(([name, { description, default: value }]) =>
      [`# ${description}`, value === undefined ? `#${name}=` : `${name}=${value}`].join('\n'),
    ),
  )
  t.strictSame(loadConfig(parseEnv(text)), loadConfig({}))
})

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}
