import { chmod, copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { createPool } from '../../src/database/connect.ts'
import { giveTo } from '../../src/database/embedded-user.ts'
import { routeTo } from '../../src/database/route.ts'
import { migrateDatabase, openDatabase } from '../../src/server.ts'
import { StartError } from '../../src/start-error.ts'
import { lacksOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'
import { type Cluster, prepareCluster } from '../support/cluster.ts'

const log = pino({ level: 'silent' })
const skip = lacksOpenssl()
const ownPackage = new URL('../../package.json', import.meta.url).pathname

/** Does what a start does until the database is in use; answers what the start would fail with. */
async function start(settings: Record<string, string>): Promise<string | undefined> {
  try {
    const config = loadConfig({ DATABASE_WAIT_MS_MAX: '5000', ...settings })
    const { connection } = await openDatabase(config, log, () => {})
    await migrateDatabase(config, connection, log)
    return undefined
  } catch (error) {
    if (error instanceof StartError) return error.message
    throw error
  }
}

/** Whether connections are encrypted that are made as the settings say. */
async function isEncrypted(url: string, mode: string): Promise<boolean> {
  const connection = await routeTo(url, { mode })
  const pool = createPool({
    connection,
    max: 1,
    waitMsMax: 5000,
    lockMsMax: 5000,
    statementMsMax: 5000,
    onError: () => {},
  })
  try {
    const text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()'
    return (await pool.query(text)).rows[0].ssl
  } finally {
    await pool.end()
  }
}

async function makeFiles(t: Test) {
  const folder = t.testdir({})
  const [authority, stranger] = await Promise.all([
    makeAuthority(folder, 'authority'),
    makeAuthority(folder, 'stranger'),
  ])
  const [server, client, intruder] = await Promise.all([
    makeCertificate(folder, 'server', { authority, subject: 'localhost' }),
    makeCertificate(folder, 'client', { authority, subject: 'deltaworks' }),
    makeCertificate(folder, 'intruder', { authority: stranger, subject: 'deltaworks' }),
  ])
  return { folder, authority, stranger, server, client, intruder }
}

type Files = Awaited<ReturnType<typeof makeFiles>>

async function giveCertificate(cluster: Cluster, { server, authority }: Files): Promise<void> {
  const given = { 'server.crt': server.certificate, 'server.key': server.key }
  for (const [name, from] of Object.entries({ ...given, 'root.crt': authority.certificate })) {
    const to = join(cluster.folder, name)
    await copyFile(from, to)
    await chmod(to, 0o600)
    await giveTo(cluster.runAs, to)
  }
}

t.test('a PostgreSQL with TLS', { skip }, async (t) => {
  const files = await makeFiles(t)
  const hba = [
    'hostssl all deltaworks 127.0.0.1/32 trust clientcert=verify-full',
    'hostssl all sealed 127.0.0.1/32 trust',
    'host all sealed 127.0.0.1/32 reject',
    'hostnossl all plain 127.0.0.1/32 trust',
    'host all plain 127.0.0.1/32 reject',
  ]
  const settings = { ssl: 'on', ssl_ca_file: 'root.crt' }
  const cluster = await prepareCluster(t, { settings, hba })
  await giveCertificate(cluster, files)
  await cluster.start()
  await cluster.query('create role sealed superuser login; create role plain superuser login')
  const url = (user: string, host = 'localhost') =>
    `postgres://${user}@${host}:${cluster.port}/postgres`
  const root = { DATABASE_TLS_ROOT_FILE: files.authority.certificate }
  const wrongRoot = { DATABASE_TLS_ROOT_FILE: files.stranger.certificate }
  const certificate = {
    DATABASE_TLS_CERTIFICATE_FILE: files.client.certificate,
    DATABASE_TLS_KEY_FILE: files.client.key,
  }
  const intruder = {
    DATABASE_TLS_CERTIFICATE_FILE: files.intruder.certificate,
    DATABASE_TLS_KEY_FILE: files.intruder.key,
  }
  const full = { DATABASE_TLS_MODE: 'verify-full' }

  const right: Record<string, Record<string, string>> = {
    'require trusts whom it meets': { DATABASE_TLS_MODE: 'require', DATABASE_URL: url('sealed') },
    'require looks at a root': {
      DATABASE_TLS_MODE: 'require',
      DATABASE_URL: url('sealed', '127.0.0.1'),
      ...root,
    },
    'verify-ca takes any host': {
      DATABASE_TLS_MODE: 'verify-ca',
      DATABASE_URL: url('sealed', '127.0.0.1'),
      ...root,
    },
    'verify-full takes the right host': { ...full, DATABASE_URL: url('sealed'), ...root },
    'verify-full with a certificate of our own': {
      ...full,
      DATABASE_URL: url('deltaworks'),
      ...root,
      ...certificate,
    },
    'all of it may stand in the URL': {
      DATABASE_URL: `${url('deltaworks')}?sslmode=verify-full&sslrootcert=${files.authority.certificate}&sslcert=${files.client.certificate}&sslkey=${files.client.key}`,
    },
    'the setting stands beside the same in the URL': {
      ...full,
      DATABASE_URL: `${url('sealed')}?sslmode=verify-full`,
      ...root,
    },
  }
  for (const [name, given] of Object.entries(right)) {
    t.test(name, async (t) => t.equal(await start(given), undefined))
  }

  const broken = join(files.folder, 'broken.pem')
  await writeFile(broken, '-----BEGIN CERTIFICATE-----\nnot base64\n-----END CERTIFICATE-----\n')
  const wrong: [name: string, given: Record<string, string>, message: RegExp][] = [
    [
      'a root that has not signed',
      { ...full, DATABASE_URL: url('sealed'), ...wrongRoot },
      /cannot be reached: its certificate comes from nobody that DATABASE_TLS_ROOT_FILE names/,
    ],
    [
      'the same for require with a root',
      { DATABASE_TLS_MODE: 'require', DATABASE_URL: url('sealed'), ...wrongRoot },
      /comes from nobody that DATABASE_TLS_ROOT_FILE names/,
    ],
    [
      'nobody known, without a root',
      { ...full, DATABASE_URL: url('sealed') },
      /its certificate comes from nobody/,
    ],
    [
      'another host',
      { ...full, DATABASE_URL: url('sealed', '127.0.0.1'), ...root },
      /its certificate is for another host .*127\.0\.0\.1.*verify-ca/,
    ],
    [
      'no certificate of our own',
      { ...full, DATABASE_URL: url('deltaworks'), ...root },
      /asks for a certificate that it knows.*DATABASE_TLS_CERTIFICATE_FILE/,
    ],
    [
      'a certificate of our own that it does not know',
      { ...full, DATABASE_URL: url('deltaworks'), ...root, ...intruder },
      /does not accept DATABASE_TLS_CERTIFICATE_FILE/,
    ],
    [
      'no TLS for a user who must have it',
      { DATABASE_TLS_MODE: 'disable', DATABASE_URL: url('sealed') },
      /no encryption|rejects connection/,
    ],
    [
      'a root that is not there',
      { ...full, DATABASE_URL: url('sealed'), DATABASE_TLS_ROOT_FILE: '/nowhere/root.crt' },
      /DATABASE_TLS_ROOT_FILE cannot be read: ENOENT/,
    ],
    [
      'a root that is no certificate',
      { ...full, DATABASE_URL: url('sealed'), DATABASE_TLS_ROOT_FILE: broken },
      /DATABASE_TLS_ROOT_FILE cannot be used/,
    ],
    [
      'a file of another kind',
      { ...full, DATABASE_URL: url('sealed'), DATABASE_TLS_ROOT_FILE: ownPackage },
      /DATABASE_TLS_ROOT_FILE, .*, is no PEM file/,
    ],
    [
      'a key of another certificate',
      {
        ...full,
        DATABASE_URL: url('deltaworks'),
        ...root,
        ...certificate,
        DATABASE_TLS_KEY_FILE: files.intruder.key,
      },
      /DATABASE_TLS_KEY_FILE does not belong to DATABASE_TLS_CERTIFICATE_FILE/,
    ],
  ]
  for (const [name, given, message] of wrong) {
    t.test(`${name}: the start is refused`, async (t) => {
      const refusal = await start(given)
      t.match(refusal, message)
      t.notMatch(refusal, /PRIVATE KEY/)
    })
  }

  t.test('prefer and allow take the other way where the first is refused', async (t) => {
    t.equal(await isEncrypted(url('sealed'), 'prefer'), true)
    t.equal(await isEncrypted(url('plain'), 'prefer'), false)
    t.equal(await isEncrypted(url('sealed'), 'allow'), true)
    t.equal(await isEncrypted(url('plain'), 'allow'), false)
  })

  t.test('there is no TLS on a socket', async (t) => {
    const socket = `postgres://deltaworks@${encodeURIComponent(cluster.socket)}:${cluster.port}/postgres`
    t.equal(await isEncrypted(socket, 'verify-full'), false)
  })

  t.test('the key is printed nowhere', async (t) => {
    const tls = { mode: 'verify-full', rootFile: root.DATABASE_TLS_ROOT_FILE }
    const files = {
      certificateFile: certificate.DATABASE_TLS_CERTIFICATE_FILE,
      keyFile: certificate.DATABASE_TLS_KEY_FILE,
    }
    const connection = await routeTo(url('deltaworks'), { ...tls, ...files })
    t.notMatch(JSON.stringify(connection), /PRIVATE|KEY/)
  })
})

t.test('a PostgreSQL without TLS', { skip }, async (t) => {
  const cluster = await prepareCluster(t)
  await cluster.start()
  const missing = await start({ DATABASE_TLS_MODE: 'require', DATABASE_URL: cluster.url })
  t.match(missing, /does not offer TLS, which DATABASE_TLS_MODE asks for/)
  t.equal(await isEncrypted(cluster.url, 'prefer'), false)
  t.equal(await isEncrypted(cluster.url, 'allow'), false)
  t.equal(await isEncrypted(cluster.url, 'disable'), false)
})
