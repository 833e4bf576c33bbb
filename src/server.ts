import { join } from 'node:path'
import type { Logger } from 'pino'
import { buildApp } from './app.ts'
import type { Config } from './config.ts'
import { type Connection, createDb, createPool } from './database/connect.ts'
import { startEmbeddedPostgres } from './database/embedded.ts'
import { claimEmbeddedPostgres } from './database/embedded-claim.ts'
import { migrate } from './database/migrate.ts'
import { startSweeper } from './idempotency/sweeper.ts'
import { startPublisher } from './mirror/publisher.ts'
import { createServices } from './services.ts'

/** A server that takes requests. */
export interface RunningServer {
  /** Such as `http://127.0.0.1:8080`. */
  address: string
  /** Finishes the requests under way, then stops all that was started. Idempotent. */
  stop: () => Promise<void>
}

/** A PostgreSQL to work with, and how to let go of it. */
interface OpenDatabase {
  connection: Connection
  close: () => Promise<void>
}

/** Starts all that serves: the database where it is embedded, its schema, the mirror, the HTTP server. */
export async function startServer(
  config: Config,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<RunningServer> {
  const database = await openDatabase(config, log, onFatal)
  try {
    await migrateDatabase(config, database.connection, log)
    return await serve(config, database, log)
  } catch (error) {
    await database.close()
    throw error
  }
}

/** The database that the configuration names, or the embedded one, held for this server alone. */
export async function openDatabase(
  config: Config,
  log: Logger,
  onFatal: (error: Error) => void,
): Promise<OpenDatabase> {
  if (config.databaseUrl !== undefined) {
    return { connection: { connectionString: config.databaseUrl }, close: async () => {} }
  }
  const embedded = await startEmbeddedPostgres({ folder: join(config.dataDir, 'postgres'), log })
  const { connection } = embedded
  try {
    const claim = await claimEmbeddedPostgres({
      connection,
      dataDir: config.dataDir,
      log,
      onLost: onFatal,
    })
    const close = async () => {
      await claim.release()
      await embedded.stop()
    }
    return { connection, close }
  } catch (error) {
    await embedded.leave()
    throw error
  }
}

const migrationMsMax = 600_000

/** Brings the schema of the database up to date. */
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
    const applied = await migrate(db)
    if (applied.length > 0) log.info({ applied }, 'the schema was brought up to date')
  } finally {
    await db.destroy()
  }
}

async function serve(config: Config, database: OpenDatabase, log: Logger): Promise<RunningServer> {
  const pool = createPool({
    connection: database.connection,
    max: config.databasePoolMax,
    waitMsMax: config.databaseWaitMsMax,
    lockMsMax: config.databaseWaitMsMax,
    statementMsMax: config.databaseStatementMsMax,
    onError: (err) => log.warn({ err }, 'a connection to PostgreSQL was lost'),
  })
  const db = createDb(pool)
  const publisher = startPublisher({
    db,
    mirrorRoots: config.mirrorRoots,
    pollMs: config.mirrorPollMs,
    log,
  })
  const sweeper = startSweeper({ db, retentionMs: config.idempotencyRetentionMs, log })
  const services = createServices(config, { pool, db, publisher })
  const app = await buildApp({ config, services, log })
  const address = await app.listen({ host: config.host, port: config.port })

  async function stop(): Promise<void> {
    const overdue = setTimeout(() => app.server.closeAllConnections(), config.shutdownMsMax)
    await app.close()
    clearTimeout(overdue)
    sweeper.stop()
    await publisher.stop()
    await db.destroy()
    await database.close()
  }

  let stopping: Promise<void> | undefined
  return {
    address,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
  }
}
