import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import type { Committer } from '../../src/commits/committer.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { createDb, type Db, type Pool } from '../../src/database/connect.ts'
import { noReplicas } from '../../src/database/replicas/replicas.ts'
import type { Keeper } from '../../src/locks/keeper.ts'
import { noPublisher, startPublisher } from '../../src/mirror/publisher.ts'
import { sessionOpener } from '../../src/pools.ts'
import { createServices } from '../../src/services.ts'
import { createStorage } from '../../src/storage/create-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type Api, createApi } from './api.ts'
import { copyPoolOf, createTestDatabase, poolOf, type TestDatabase } from './postgres.ts'

/** A server over a database and a folder of its own, spoken to over HTTP. */
export interface TestServer extends Api {
  db: Db
  pool: Pool
  committer: Committer
  keeper: Keeper
  /** As a server does from time to time. */
  settleAdvisoryLocks: () => Promise<unknown>
  database: TestDatabase
  dataDir: string
  storage: Storage
  config: Config
  /** The lines that the server has logged. */
  logged: Record<string, unknown>[]
}

/** What is special about a server. */
export interface TestServerOptions {
  /** Shares the database and the folder of this server, as a second process would. */
  beside?: TestServer
  /** Without its mirror nothing is published. */
  mirror?: boolean
}

/** Starts a server in this process for the life of a test; all of it is gone afterwards. */
export async function startTestServer(
  t: Test,
  settings: Partial<Config> = {},
  { beside, mirror = true }: TestServerOptions = {},
): Promise<TestServer> {
  const { database, dataDir } = beside ?? (await makeGround(t))
  const config = {
    ...loadConfig({ DATA_DIR: dataDir, PORT: '0', MIRROR_POLL_MS: '100' }),
    ...settings,
  }
  const logged: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => logged.push(JSON.parse(line)) })
  const pool = poolOf(database.connection)
  const db = createDb(pool)
  t.teardown(() => db.destroy())
  const copyPool = copyPoolOf(database.connection)
  t.teardown(() => copyPool.end())
  const stagePool = copyPoolOf(database.connection)
  t.teardown(() => stagePool.end())
  const pinDb = createDb(poolOf(database.connection, { max: 20, pipeline: false }))
  t.teardown(() => pinDb.destroy())
  const storage = createStorage(config)
  const { mirrorPollMs: pollMs } = config
  const publisher = mirror ? startPublisher({ db, storage, pollMs, log }) : noPublisher
  t.teardown(() => publisher.stop())
  const openSession = sessionOpener(config, database.connection, log)
  const services = createServices(config, {
    openSession,
    pool,
    copyPool,
    stagePool,
    pinDb,
    db,
    replicas: noReplicas,
    storage,
    publisher,
    log,
  })
  t.teardown(() => services.maintenance.stop())
  t.teardown(() => services.metadataIndexes.stop())
  t.teardown(() => services.openTransactions.endAll())
  if (mirror) services.checkpointer.start()
  t.teardown(() => services.checkpointer.stop())
  t.teardown(() => services.commitWatch.stop())
  t.teardown(() => services.stateWatch.stop())
  t.teardown(() => services.channelWatch.stop())
  t.teardown(() => services.lockWatch.stop())
  t.teardown(() => services.electionWatch.stop())
  t.teardown(() => services.advisorySession.stop())
  const app = await buildApp({ config, services, log })
  t.teardown(() => app.close())
  const address = await app.listen({ host: config.host, port: 0 })
  const { committer, keeper, advisory } = services
  return {
    ...createApi(address),
    db,
    pool,
    committer,
    keeper,
    settleAdvisoryLocks: advisory.settle,
    database,
    dataDir,
    storage,
    config,
    logged,
  }
}

async function makeGround(t: Test): Promise<Pick<TestServer, 'database' | 'dataDir'>> {
  const database = await createTestDatabase()
  t.teardown(() => database.drop())
  const dataDir = await mkdtemp(join(tmpdir(), 'deltaworks-data-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  return { database, dataDir }
}
