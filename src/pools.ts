import type { Logger } from 'pino'
import type { Config } from './config.ts'
import { type Connection, createPool } from './database/connect.ts'
import { parseDatabaseUrl } from './database/database-url.ts'
import { openLoneSession } from './database/lone-session.ts'
import type { OpenPool } from './database/replicas/replica.ts'
import { createReplicas, type Replicas } from './database/replicas/replicas.ts'
import { routeTo } from './database/route.ts'
import type { TlsSettings } from './database/tls-settings.ts'

/**
 * One pool for all that is small, one for large transfers in either direction, and one for what reads for long at one
 * moment: no slow reader holds up a writer.
 */
export function createPools(config: Config, connection: Connection, log: Logger) {
  const smallOnes = { ...forSmall(config), min: config.databasePoolMin }
  return {
    pool: createPool({ ...common(config, connection, log), ...smallOnes }),
    copyPool: createPool({ ...common(config, connection, log), ...forCopies(config) }),
    stagePool: createPool({ ...common(config, connection, log), ...forCopies(config) }),
    pinPool: createPool({ ...common(config, connection, log), ...forPins(config) }),
  }
}

/** Opens a connection that stands in no pool. */
export function sessionOpener(config: Config, connection: Connection, log: Logger) {
  const { databaseStatementMsMax: statementMsMax } = config
  const options = { ...common(config, connection, log), statementMsMax, testsOnAcquire: false }
  return () => openLoneSession({ ...options, pipeline: false })
}

/** The replicas that the settings name; nothing is asked of them yet. Throws where a file for TLS cannot be used. */
export async function openReplicas(
  config: Config,
  primary: Connection,
  log: Logger,
): Promise<Replicas> {
  const replicas = await Promise.all(
    config.replicaUrls.map(async (url) => {
      const connection = await routeTo(url, tlsOf(config))
      const quiet = { ...common(config, connection, log), onError: () => {} }
      const kinds = { reads: forSmall(config), copies: forCopies(config), checks: forChecks }
      const open: OpenPool = (kind) => createPool({ ...quiet, ...kinds[kind] })
      return { name: nameOf(url), open }
    }),
  )
  return createReplicas({
    replicas,
    openPrimary: () => createPool({ ...common(config, primary, log), ...forChecks }),
    checkMs: config.replicaCheckMs,
    waitMsMax: config.replicaWaitMsMax,
    log,
  })
}

/** What the settings say of TLS. */
export function tlsOf(config: Config): TlsSettings {
  return {
    mode: config.databaseTlsMode,
    rootFile: config.databaseTlsRootFile,
    certificateFile: config.databaseTlsCertificateFile,
    keyFile: config.databaseTlsKeyFile,
  }
}

/** Without user and password. */
function nameOf(text: string): string {
  const url = parseDatabaseUrl(text)
  return typeof url === 'string' ? 'replica' : (url.hosts[0]?.name ?? 'replica')
}

function common(config: Config, connection: Connection, log: Logger) {
  return {
    connection,
    waitMsMax: config.databaseWaitMsMax,
    lockMsMax: config.databaseWaitMsMax,
    idleMsMax: config.databaseIdleMsMax,
    ageMsMax: config.databaseConnectionAgeMsMax,
    testsOnAcquire: config.databaseTestOnAcquire,
    onError: (err: Error) => log.warn({ err }, 'a connection to PostgreSQL was lost'),
  }
}

function forSmall({ databasePoolMax: max, databaseStatementMsMax: statementMsMax }: Config) {
  return { max, statementMsMax }
}

function forCopies({ databaseCopyPoolMax: max, databaseCopyMsMax: statementMsMax }: Config) {
  return { max, statementMsMax, pipeline: false }
}

/** The server ends its transactions itself, and PostgreSQL those of a server that hangs. */
function forPins(config: Config) {
  const { databaseStatementMsMax: statementMsMax, stateTransactionsOpenMax: max } = config
  const idleTransactionMsMax = Math.min(config.stateTransactionIdleMsMax + graceMs, 2 ** 31 - 1)
  return { max, statementMsMax, idleTransactionMsMax, pipeline: false }
}

const graceMs = 10_000

/** One that hangs is told at once. */
const forChecks = { max: 1, waitMsMax: 1000, statementMsMax: 1000, testsOnAcquire: false }
