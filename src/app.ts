import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { changeRoutes } from './changes/routes.ts'
import type { CheckpointNowContext } from './checkpoints/checkpoint-now.ts'
import { checkpointRoutes } from './checkpoints/routes.ts'
import { type CommitRoutesContext, commitRoutes } from './commits/routes.ts'
import { type WatchRoutesContext, watchRoutes } from './commits/watch-routes.ts'
import type { Config } from './config.ts'
import type { Readers } from './database/replicas/reader.ts'
import { type ElectionRoutesContext, electionRoutes } from './elections/routes.ts'
import { type EventRoutesContext, eventRoutes } from './events/routes.ts'
import { installBodies } from './http/body.ts'
import { connectionOptions, installConnections } from './http/connections.ts'
import { installDrain } from './http/drain.ts'
import { type Checks, installService, type Notes } from './http/health.ts'
import { installMethodNotAllowed } from './http/method-not-allowed.ts'
import { type Gauges, installMetrics, type Metrics } from './http/metrics.ts'
import { installOpenApi } from './http/openapi.ts'
import { answerBadAddress, installProblems } from './http/problem-rendering.ts'
import { installReadPreference } from './http/read-preference.ts'
import { installRequestLog, requestIdOf } from './http/request-log.ts'
import { installRequestSpans } from './http/request-spans.ts'
import { namedSchemas } from './http/schema.ts'
import { installEventStreams } from './http/server-sent-events.ts'
import { installStrictQueries, strictSchemas } from './http/validation.ts'
import { type LockReadContext, lockReadRoutes } from './locks/read-routes.ts'
import { type LockRoutesContext, lockRoutes } from './locks/routes.ts'
import { maintenanceRoutes } from './maintenance/routes.ts'
import type { MaintenanceContext } from './maintenance/start-operation.ts'
import type { AdoptContext } from './mirror/adopt-commits.ts'
import { mirrorRoutes } from './mirror/routes.ts'
import { verifyRoutes } from './mirror/verify/routes.ts'
import type { VerifyContext } from './mirror/verify/verify-log.ts'
import type { RunContext } from './runs/begin-run.ts'
import { runReadRoutes } from './runs/read-routes.ts'
import { runRoutes } from './runs/routes.ts'
import { scanRoutes } from './scans/routes.ts'
import type { ScanListContext } from './scans/scan-list.ts'
import { type SnapshotRoutesContext, snapshotRoutes } from './snapshots/routes.ts'
import { stateBatchRoutes } from './state/batch-routes.ts'
import { stateHistoryRoutes } from './state/history-routes.ts'
import { namespaceRoutes } from './state/namespaces/routes.ts'
import type { NamespaceContext } from './state/namespaces/set-namespace.ts'
import { installNamespaceReads, type ReadPreferences } from './state/read-preferences.ts'
import { type StateReadContext, stateReadRoutes } from './state/read-routes.ts'
import { type StateRoutesContext, stateRoutes } from './state/routes.ts'
import { type SearchContext, searchRoutes } from './state/search/routes.ts'
import { type TransferContext, transferRoutes } from './state/transfer/routes.ts'
import { type StateWatchContext, stateWatchRoutes } from './state/watch-routes.ts'
import type { CatalogContext } from './tables/create-table.ts'
import type { ImportContext } from './tables/import/import-table.ts'
import { importRoutes } from './tables/import/routes.ts'
import { tableRoutes } from './tables/routes.ts'
import {
  type ReservationRoutesContext,
  reservationRoutes,
} from './transactions/reservations/routes.ts'
import { type TransactionRoutesContext, transactionRoutes } from './transactions/routes.ts'
import { transactionReadRoutes } from './transactions/staged/read-routes.ts'
import {
  type StagedTransactionRoutesContext,
  stagedTransactionRoutes,
} from './transactions/staged/routes.ts'

/** All that the routes work with. */
export interface Services
  extends CatalogContext,
    CheckpointNowContext,
    ImportContext,
    VerifyContext,
    CommitRoutesContext,
    WatchRoutesContext,
    MaintenanceContext,
    AdoptContext,
    RunContext,
    ScanListContext,
    SnapshotRoutesContext,
    TransactionRoutesContext,
    StateRoutesContext,
    StateReadContext,
    NamespaceContext,
    SearchContext,
    TransferContext,
    StagedTransactionRoutesContext,
    StateWatchContext,
    EventRoutesContext,
    ElectionRoutesContext,
    ReservationRoutesContext,
    LockRoutesContext,
    LockReadContext {
  checks: Checks
  notes: Notes
  readers: Readers
  readPreferences: ReadPreferences
  metrics: Metrics
  gauges: Gauges
}

export interface AppOptions {
  config: Pick<
    Config,
    | 'bodyBytesMax'
    | 'exportStallMsMax'
    | 'linesBytesMax'
    | 'otelExporterOtlpEndpoint'
    | 'otelTracesSamplerArg'
    | 'requestMsMax'
    | 'watchBlockedMsMax'
  >
  services: Services
  log: FastifyBaseLogger
}

/** A key of the state may have 512 characters of four bytes, each of which is written in three. */
const paramLengthMax = 512 * 4 * 3

/** The server, ready to listen: the table of contents of the API. */
export async function buildApp({ config, services, log }: AppOptions): Promise<FastifyInstance> {
  const app: FastifyInstance = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    bodyLimit: config.bodyBytesMax,
    ...connectionOptions(config.requestMsMax, log),
    routerOptions: { maxParamLength: paramLengthMax, ignoreTrailingSlash: true },
    schemaController: strictSchemas(),
    frameworkErrors: answerBadAddress,
    return503OnClosing: false,
  })
  installDrain(app)
  const eventStreams = installEventStreams(app, { blockedMsMax: config.watchBlockedMsMax })
  if (config.otelExporterOtlpEndpoint !== undefined) {
    installRequestSpans(app, { share: config.otelTracesSamplerArg })
  }
  installRequestLog(app)
  installConnections(app)
  installProblems(app)
  installBodies(app, config)
  installStrictQueries(app)
  const { exportStallMsMax } = config
  installReadPreference(app, { readers: services.readers, exportStallMsMax })
  installNamespaceReads(app, services.readPreferences)
  const otherMethods = installMethodNotAllowed(app)
  for (const schema of namedSchemas) app.addSchema(schema)
  await installOpenApi(app)

  installMetrics(app, services.metrics, services.gauges)
  installService(app, services.checks, services.notes)
  app.register(tableRoutes, services)
  app.register(importRoutes, services)
  app.register(commitRoutes, services)
  app.register(transactionRoutes, services)
  app.register(stagedTransactionRoutes, services)
  app.register(transactionReadRoutes, services)
  app.register(runRoutes, services)
  app.register(runReadRoutes, services)
  app.register(reservationRoutes, services)
  app.register(watchRoutes, { ...services, eventStreams })
  app.register(stateHistoryRoutes)
  app.register(stateWatchRoutes, { ...services, eventStreams })
  app.register(electionRoutes, { ...services, eventStreams })
  app.register(eventRoutes, { ...services, eventStreams })
  app.register(snapshotRoutes, services)
  app.register(scanRoutes, services)
  app.register(changeRoutes, services)
  app.register(mirrorRoutes, services)
  app.register(verifyRoutes, services)
  app.register(checkpointRoutes, services)
  app.register(stateRoutes, services)
  app.register(stateReadRoutes, services)
  app.register(stateBatchRoutes, services)
  app.register(namespaceRoutes, services)
  app.register(searchRoutes, services)
  app.register(transferRoutes, services)
  app.register(lockRoutes, services)
  app.register(lockReadRoutes, { ...services, eventStreams })
  app.register(maintenanceRoutes, services)
  otherMethods.afterRoutes()
  return app
}
