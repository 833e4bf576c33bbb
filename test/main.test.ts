import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import packageJson from '../package.json' with { type: 'json' }
import { startEmbeddedPostgres } from '../src/database/embedded.ts'
import { createTestDatabase } from './support/postgres.ts'
import {
  hasPostmaster,
  makeDataDir,
  makeUsedDataDir,
  runCommand,
  startServerProcess,
} from './support/process.ts'

t.test('version prints the version', async (t) => {
  t.strictSame(await runCommand(t, ['version']), {
    code: 0,
    signal: null,
    stdout: `${packageJson.version}\n`,
    stderr: '',
  })
})

t.test('openapi prints the document, whatever the settings', async (t) => {
  const settings = { PORT: 'harbour', DATABASE_URL: 'nowhere' }
  const { code, stdout } = await runCommand(t, ['openapi'], settings)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { openapi: /^3\.1/, paths: { '/tables': {} } })
})

t.test('help is printed for the asking, and tells every command', async (t) => {
  const asking = [['--help'], ['-h'], ['serve', '--help']]
  for (const result of await Promise.all(asking.map((args) => runCommand(t, args)))) {
    t.match(result, { code: 0, stderr: /^$/ })
    for (const command of ['serve', 'import', 'verify', 'migrate', 'openapi', 'version']) {
      t.match(result.stdout, new RegExp(`^  ${command} `, 'm'))
    }
  }
})

t.test('a command line that cannot be understood is refused with exit code 2', async (t) => {
  const refused: [string[], RegExp][] = [
    [[], /^A command is required\.$/m],
    [['server'], /^There is no command "server"\.$/m],
    [['serve', 'now'], /^"now" is one word too many\.$/m],
    [['serve', '--port=1'], /Unknown option '--port'/],
    [['import', 'sales'], /^import needs NAME and LOCATION\.$/m],
    [['verify', 'sales', 'orders'], /^"orders" is one word too many\.$/m],
  ]
  const results = await Promise.all(refused.map(([args]) => runCommand(t, args)))
  for (const [index, [args, message]] of refused.entries()) {
    const result = results[index]
    t.match(result, { code: 2, stdout: /^$/, stderr: message }, args.join(' '))
    t.match(result?.stderr, /See deltaworks --help\./)
  }
})

t.test('every fault of the configuration is told at once, and no secret', async (t) => {
  const settings = {
    PORT: 'harbour',
    LOG_LEVEL: 'loud',
    DATABASE_POOL_MAX: '0',
    DATABASE_URL: 'mysql://guest:s3cret@db/deltaworks',
    MIRROR_ROOTS: '/srv/lake:lake',
  }
  for (const command of ['serve', 'migrate']) {
    const { code, stdout, stderr } = await runCommand(t, [command], settings)
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, /^The configuration has 5 faults:$/m)
    for (const name of Object.keys(settings)) t.match(stderr, `\n  ${name} must `)
    t.equal(stderr.trim().split('\n').length, 6, 'a line for each, and no stack trace')
    t.notMatch(stderr, 's3cret')
  }
})

t.test('migrate makes the schema of DATABASE_URL and can be repeated', async (t) => {
  const database = await createTestDatabase({ empty: true })
  t.teardown(() => database.drop())
  const settings = { DATABASE_URL: database.url }
  const first = await runCommand(t, ['migrate'], settings)
  t.match(first, { code: 0, stdout: /the schema was brought up to date/ })
  t.match(await runCommand(t, ['migrate'], settings), { code: 0, stdout: /^$/ })
  const client = new pg.Client(database.url)
  await client.connect()
  t.teardown(() => client.end())
  t.same((await client.query('select * from tables')).rows, [])
})

t.test('migrate works on the embedded database and stops it again', async (t) => {
  const dataDir = await makeDataDir(t)
  const result = await runCommand(t, ['migrate'], { DATA_DIR: dataDir })
  t.match(result, { code: 0, stdout: /the schema was brought up to date/ })
  t.equal(await hasPostmaster(dataDir), false)
})

t.test('a data folder that cannot be used is told in a line, with exit code 1', async (t) => {
  const dataDir = await makeDataDir(t)
  await mkdir(join(dataDir, 'postgres'))
  await writeFile(join(dataDir, 'postgres', 'letter.txt'), 'Dear reader')
  await failsInOneLine(t, { DATA_DIR: dataDir }, /not empty/)
})

t.test('a database that cannot be reached is told in a line, with exit code 1', async (t) => {
  const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as { port: number }
  const asked = { DATABASE_URL: `postgres://u:s3cret@127.0.0.1:${port}/x` }
  await failsInOneLine(t, { ...asked, DATABASE_WAIT_MS_MAX: '300' }, /cannot be reached.*timeout/)
  silent.close()
  await once(silent, 'close')
  await failsInOneLine(t, asked, /cannot be reached.*ECONNREFUSED/, ['migrate', 'serve'])
  const nobody = { DATABASE_URL: 'postgres://u:s3cret@nobody.invalid/x' }
  await failsInOneLine(t, nobody, /cannot be reached.*nobody\.invalid/)
})

t.test('a database that refuses us is told in a line, without the password', async (t) => {
  const { urlOf } = await startGuardedPostgres(t, 'pa55word')
  const right = await runCommand(t, ['migrate'], { DATABASE_URL: urlOf('pa55word') })
  t.equal(right.code, 0)
  t.notMatch(right.stdout + right.stderr, 'pa55word')
  const wrong = { DATABASE_URL: urlOf('s3cret') }
  await failsInOneLine(t, wrong, /password authentication failed for user "guest"/)
  const absent = { DATABASE_URL: urlOf('pa55word').replace(/postgres$/, 'atlantis') }
  await failsInOneLine(t, absent, /database "atlantis" does not exist/)
})

t.test('a connection that is lost is logged without the password', async (t) => {
  const { connection, urlOf } = await startGuardedPostgres(t, 'pa55word')
  const settings = { DATABASE_URL: urlOf('pa55word'), DATA_DIR: await makeDataDir(t) }
  const server = await startServerProcess(t, settings)
  const client = new pg.Client(connection)
  await client.connect()
  t.teardown(() => client.end())
  // A connection that is busy tells its loss to the query, and one may not be open: so until an idle one is met.
  const lost = server.says(/a connection to PostgreSQL was lost/)
  for (let isLost = false; !isLost; ) {
    await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'guest'",
    )
    isLost = await Promise.race([lost.then(() => true), sleep(50, false)])
  }
  t.match(await server.get('/health/ready'), { status: 200 })
  await server.stop()
  t.notMatch(server.output(), 'pa55word')
})

/** Commands that need a database fail with exit code 1 and a line that tells why. */
async function failsInOneLine(
  t: Test,
  settings: Record<string, string>,
  why: RegExp,
  commands = ['serve'],
) {
  for (const command of commands) {
    const { code, stdout, stderr } = await runCommand(t, [command], settings)
    t.equal(code, 1)
    t.match(stderr, why)
    t.equal(stderr.trim().split('\n').length, 1, 'one line')
    t.notMatch(stdout + stderr, /s3cret|pa55word/)
  }
}

/** A PostgreSQL that lets the user `guest` in with a password only. */
async function startGuardedPostgres(t: Test, password: string) {
  const folder = await makeUsedDataDir(t)
  const hbaFile = join(folder, 'pg_hba.conf')
  await writeFile(hbaFile, 'local all guest scram-sha-256\nlocal all all trust\n')
  const { connection, leave } = await startEmbeddedPostgres({
    folder: join(folder, 'postgres'),
    settings: { fsync: 'off', hba_file: hbaFile },
    log: { info() {}, warn() {}, error() {} },
  })
  t.teardown(leave)
  const client = new pg.Client(connection)
  await client.connect()
  await client.query(`create role guest superuser login password '${password}'`)
  await client.end()
  const place = `${encodeURIComponent(connection.host)}:${connection.port}/postgres`
  return { connection, urlOf: (secret: string) => `postgres://guest:${secret}@${place}` }
}
