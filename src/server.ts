import { lookup } from 'node:dns/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import { abandonedStages } from './commits/staged/stage.ts'
import type { Config } from './config.ts'
import { type Connection, createDb, createPool, type Db, type Pool } from './database/connect.ts'
import { startEmbeddedPostgres } from './database/embedded.ts'
import { claimEmbeddedPostgres } from './database/embedded-claim.ts'
import { migrate } from './database/migrate.ts'
import { Route, routeTo } from './database/route.ts'
import { explainTlsError } from './database/tls.ts'
import { expiredEvents } from './events/expiry.ts'
import { expiredAnswers } from './idempotency/expiry.ts'
import { expiredLeases, lapsedLockWaits } from './locks/sweeps.ts'
import { startSweeper } from './maintenance/sweeper.ts'
import { startPublisher } from './mirror/publisher.ts'
import { createPools, openReplicas, tlsOf } from './pools.ts'
import { createServices } from './services.ts'
import { StartError } from './start-error.ts'
import { expiredEntries } from './state/expiry.ts'
import { replacedWrites } from './state/retention/sweep-history.ts'
import { createStorage } from './storage/create-storage.ts'
import type { Storage } from './storage/storage.ts'
import { lapsedWaits } from './transactions/reservations/sweeps.ts'
import { overdueTransactions, stagedLeftovers } from './transactions/staged/sweeps.ts'

/** A server that takes requests. */
export interface RunningServer {
  /** Such as `http://127.0.0.1:8080`. */
  address: string
  /** Finishes the requests under way, then stops all that was started. */
  stop: () => Promise<void>
}

type App = Awaited<ReturnType<typeof buildApp>>

/** A PostgreSQL to work with, and how to let go of it. */
interface OpenDatabase {
  connection: Connection
  close: () => Promise<void>
}

/**
 * Starts all that serves: the database where it is embedded, its schema, the mirror, the HTTP server. Throws
 * `StartError`, with nothing left running. `onFatal` is told when it can no longer go on and must be stopped.
 */
export async function startServer(
  config: Config,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<RunningServer> {
  await using started = new AsyncDisposableStack()
  const { otelExporterOtlpEndpoint: endpoint, otelTracesSamplerArg: share } = config
  if (endpoint !== undefined) {
    const { startTracing } = await import('./tracing/start-tracing.ts')
    started.defer(startTracing({ endpoint, share }))
  }
  const database = await openDatabase(config, log, onFatal)
  started.defer(database.close)
  await migrateDatabase(config, database.connection, log)
  const { pool, copyPool, stagePool } = createPools(config, database.connection, log)
  const db = createDb(pool)
  started.defer(() => db.destroy())
  started.defer(() => copyPool.end())
  started.defer(() => stagePool.end())
  const replicas = await orStartError('The replicas cannot be used', () =>
    openReplicas(config, database.connection, log),
  )
  started.defer(replicas.stop)
  const { mirrorPollMs: pollMs, idempotencyRetentionMs: retentionMs } = config
  const storage = createStorage(config)
  const publisher = startPublisher({ db, storage, pollMs, log })
  started.defer(publisher.stop)
  const services = createServices(config, {
    pool,
    copyPool,
    stagePool,
    db,
    replicas,
    storage,
    publisher,
    log,
  })
  replicas.start()
  if (database.connection instanceof Route) {
    database.connection.onMove(() => {
      log.warn('another primary was found; its log may lack what was committed last')
      services.onPrimaryMoved()
    })
  }
  const sweeps = [
    expiredAnswers(db, retentionMs),
    abandonedStages(db, config),
    overdueTransactions(db, (count) => services.onTransactionEnd('expired', count)),
    stagedLeftovers(db, config),
    lapsedWaits(db),
    lapsedLockWaits(db),
    expiredLeases({ db, keeper: services.keeper }),
    expiredEntries({ db, committer: services.committer, pollMs: config.stateExpiryPollMs }),
    expiredEvents(db, config.eventRetentionMs),
    replacedWrites(db, { pollMs: config.stateRetentionPollMs }),
    services.metadataIndexes.sweep,
  ]
  started.defer(services.metadataIndexes.stop)
  for (const sweep of sweeps) started.defer(startSweeper(sweep, log).stop)
  started.defer(services.commitWatch.stop)
  started.defer(services.stateWatch.stop)
  started.defer(services.channelWatch.stop)
  started.defer(services.lockWatch.stop)
  started.defer(services.electionWatch.stop)
  started.defer(services.publications.idle)
  started.defer(services.committer.idle)
  started.defer(services.keeper.idle)
  started.defer(services.maintenance.stop)
  services.checkpointer.start()
  started.defer(services.checkpointer.stop)
  const app = await buildApp({ config, services, log })
  started.defer(async () => {
    const overdue = setTimeout(() => app.server.closeAllConnections(), config.shutdownMsMax)
    await app.close()
    clearTimeout(overdue)
  })
  const address = await listen(app, config)
  const running = started.move()
  return { address, stop: () => running.disposeAsync() }
}

/** Answers the address that was taken. */
async function listen(app: App, { host, port }: Config): Promise<string> {
  return orStartError(`The server cannot listen on ${host}, port ${port}`, async () => {
    // For the name `localhost` Fastify would listen with several servers, and lets us drain but one.
    const { address } = await lookup(host, { order: 'ipv4first' })
    return app.listen({ host: address, port })
  })
}

/** What works on tables beside a server. */
export interface Workplace {
  db: Db
  copyPool: Pool
  stagePool: Pool
  storage: Storage
  idempotencyRetentionMs: number
}

/**
 * Does work on the database, whose schema is brought up to date first, without serving. Throws `StartError` when it
 * cannot be used: the embedded one belongs to one process at a time.
 */
export async function withWorkplace<Result>(
  config: Config,
  log: Logger,
  work: (workplace: Workplace) => Promise<Result>,
): Promise<Result> {
  await using opened = new AsyncDisposableStack()
  const database = await openDatabase(config, log, (error) => {
    log.fatal({ err: error }, error.message)
  })
  opened.defer(database.close)
  await migrateDatabase(config, database.connection, log)
  const { pool, copyPool, stagePool } = createPools(config, database.connection, log)
  const db = createDb(pool)
  opened.defer(() => db.destroy())
  opened.defer(() => copyPool.end())
  opened.defer(() => stagePool.end())
  const { idempotencyRetentionMs } = config
  const storage = createStorage(config)
  return await work({ db, copyPool, stagePool, storage, idempotencyRetentionMs })
}

/** The database that the configuration names, or the embedded one, held for this server alone. */
export async function openDatabase(
  config: Config,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) {
    const { databaseUrl } = config
    const connection = await orStartError('PostgreSQL cannot be connected to', () =>
      routeTo(databaseUrl, tlsOf(config)),
    )
    return { connection, close: async () => {} }
  }
  const { dataDir } = config
  const embedded = await orStartError('The embedded PostgreSQL cannot be used', () =>
    startEmbeddedPostgres({ folder: join(dataDir, 'postgres'), log }),
  )
  const { connection } = embedded
  let isOurs = true
  const onLost = (error: Error) => {
    isOurs = false
    onFatal(error)
  }
  try {
    const claim = await claimEmbeddedPostgres({ connection, dataDir, log, onLost })
    const close = async () => {
      await claim.release()
      await (isOurs ? embedded.stop() : embedded.leave())
    }
    return { connection, close }
  } catch (error) {
    await embedded.leave()
    throw new StartError(reasonOf(error), { cause: error })
  }
}

const migrationMsMax = 600_000

/** Brings the schema of the database up to date. Throws `StartError`. */
export async function migrateDatabase(
  config: Config,
  connection: Connection,
  log: Logger,
): Promise<void> {
  const pool = createPool({
    connection,
    max: 2,
    waitMsMax: config.databaseWaitMsMax,
    lockMsMax: migrationMsMax,
    statementMsMax: migrationMsMax,
    onError: () => {},
  })
  const db = createDb(pool)
  try {
    await orStartError('PostgreSQL cannot be reached', () => pool.query('select'))
    const applied = await orStartError('The schema of the database cannot be used', () =>
      migrate(db),
    )
    if (applied.length > 0) log.info({ applied }, 'the schema was brought up to date')
  } finally {
    await db.destroy()
  }
}

async function orStartError<Result>(failure: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw new StartError(`${failure}: ${reasonOf(error)}`, { cause: error })
  }
}

/** Where a name has several addresses and none answers, the error is one for each and says nothing itself. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  const aboutTls = explainTlsError(error)
  if (aboutTls !== undefined) return aboutTls
  return error instanceof Error ? error.message : String(error)
}
