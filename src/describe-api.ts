import pino from 'pino'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'
import { createDb, createPool } from './database/connect.ts'
import { noReplicas } from './database/replicas/replicas.ts'
import { noPublisher } from './mirror/publisher.ts'
import { createServices } from './services.ts'
import { createStorage } from './storage/create-storage.ts'

/** The OpenAPI document of the service as JSON text. Connects to nothing: no route is called. */
export async function describeApi(): Promise<string> {
  const config = loadConfig({})
  const pool = createPool({
    connection: { connectionString: 'postgres://nowhere' },
    max: 1,
    waitMsMax: 1,
    lockMsMax: 1,
    statementMsMax: 1,
    onError: () => {},
  })
  const log = pino({ level: 'silent' })
  const services = createServices(config, {
    pool,
    copyPool: pool,
    stagePool: pool,
    pinDb: createDb(pool),
    db: createDb(pool),
    openSession: () => Promise.reject(new Error('nothing is connected')),
    replicas: noReplicas,
    storage: createStorage(config),
    publisher: noPublisher,
    log,
  })
  const app = await buildApp({ config, services, log })
  await app.ready()
  const document = app.swagger()
  await app.close()
  return `${JSON.stringify(document, null, 2)}\n`
}
