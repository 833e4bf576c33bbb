import type { Services } from './app.ts'
import { type Checkpointer, createCheckpointer } from './checkpoints/checkpointer.ts'
import { createChecks, listNotes } from './checks.ts'
import { createCommitter } from './commits/committer.ts'
import { observeBatch } from './commits/observe-batch.ts'
import { createCommitWatch } from './commits/watch.ts'
import type { Config } from './config.ts'
import type { Db, Pool } from './database/connect.ts'
import type { LoneSession } from './database/lone-session.ts'
import { createReaders } from './database/replicas/reader.ts'
import type { Replicas } from './database/replicas/replicas.ts'
import { tellElection } from './elections/election-json.ts'
import { createPublications } from './events/publications.ts'
import type { PublishedEvent } from './events/queries.ts'
import { createEventWatch } from './events/watch.ts'
import { createExports } from './http/exports.ts'
import { createMetrics } from './http/metrics.ts'
import { createAdvisoryKeeper } from './locks/advisory/keeper.ts'
import { type AdvisorySession, createAdvisorySession } from './locks/advisory/session.ts'
import { createKeeper } from './locks/keeper.ts'
import { eventText } from './locks/lock-json.ts'
import { observeLocks } from './locks/observe.ts'
import type { LockName } from './locks/rows.ts'
import { createMaintenance, type Maintenance } from './maintenance/operations.ts'
import type { Publisher } from './mirror/publisher.ts'
import { createFileCache } from './scans/file-cache.ts'
import { createEntryReader } from './state/entry-reader.ts'
import { createMetadataIndexes, type MetadataIndexes } from './state/namespaces/metadata-indexes.ts'
import { createNamespaces } from './state/namespaces.ts'
import { createReadPreferences } from './state/read-preferences.ts'
import { createOpenTransactions } from './state/transactions/open-transactions.ts'
import { createStateWatch } from './state/watch.ts'
import type { Storage } from './storage/storage.ts'
import { createWaiters } from './transactions/reservations/waiters.ts'
import { createSeats } from './watch/seats.ts'
import { createTurns } from './watch/turns.ts'

/** Connections of the pool that all who watch take for what they read. */
const watchReadsMax = 2
/** Time between two looks whether the session of the advisory locks is still there. */
const advisoryHeartbeatMs = 2000
/** Demands on locks that may wait for their batch. */
const lockQueueMax = 20_000

/** What the services stand on. */
export interface Ground {
  pool: Pool
  /** For COPY to clients, without pipelines. */
  copyPool: Pool
  /** For COPY of what clients send. */
  stagePool: Pool
  /** For what is held for long, to read at one moment. */
  pinDb: Db
  db: Db
  /** Opens a connection of its own, for what lives as long as it does. */
  openSession: () => Promise<LoneSession>
  replicas: Replicas
  storage: Storage
  publisher: Pick<Publisher, 'wake' | 'retry' | 'status' | 'takePublished'>
  log: { warn: (facts: object, message: string) => void }
}

/** What is started and told beside the routes. */
interface Background {
  maintenance: Maintenance
  checkpointer: Checkpointer
  metadataIndexes: MetadataIndexes
  advisorySession: AdvisorySession
  /** Forgets what another primary may know otherwise. */
  onPrimaryMoved: () => void
}

/** Wires the parts that routes work with. Nothing is connected by it. */
export function createServices(config: Config, ground: Ground): Services & Background {
  const { pool, copyPool, stagePool, pinDb, db, replicas, storage, publisher, log } = ground
  const metrics = createMetrics()
  const readers = createReaders({
    db,
    copyPool,
    replicas,
    onRepeat: () => metrics.repeatedReads.inc(),
  })
  const seats = createSeats(config.watchersMax)
  const takeTurn = createTurns(watchReadsMax)
  const watching = { db, seats, takeTurn, pollMs: config.watchPollMs, log }
  const commitWatch = createCommitWatch(watching)
  const withBookmarks = { ...watching, bookmarkMs: config.watchBookmarkMs }
  const stateWatch = createStateWatch(withBookmarks)
  const channelWatch = createEventWatch({ ...withBookmarks, topic: 'channel' })
  const lockWatch = createEventWatch({ ...withBookmarks, topic: 'lock' })
  const electionWatch = createEventWatch({ ...withBookmarks, topic: 'election' })
  const onPublished = (events: readonly PublishedEvent[]) => {
    metrics.publishedEvents.inc(events.length)
    channelWatch.wake(events.map(({ channel }) => channel))
  }
  const publications = createPublications({ db, queueMax: config.eventQueueMax, onPublished })
  const namespaces = createNamespaces(db)
  const fileCache = createFileCache({ db, copyPool, bytesMax: config.scanCacheBytesMax })
  const committer = createCommitter({
    pool,
    batchesMax: config.batchesMax,
    queueCommitsMax: config.queueCommitsMax,
    batchActionsMax: config.batchActionsMax,
    idempotencyRetentionMs: config.idempotencyRetentionMs,
    bulkMsMax: config.databaseCopyMsMax,
    onBatch: (batch) => {
      publisher.wake(batch.changedTables, batch.units.length)
      commitWatch.wake(batch.changedTables)
      stateWatch.wake(batch.changedNamespaces)
      observeBatch(metrics, batch)
    },
  })
  const reservationWaiters = createWaiters({
    db,
    pollMs: config.reservationPollMs,
    waitersMax: config.reservationWaitersMax,
    aliveMs: config.transactionClaimMs,
    log,
  })
  const keeper = createKeeper({
    pool,
    db,
    queueMax: lockQueueMax,
    holdersMax: config.lockHoldersMax,
    waitersMax: config.lockWaitersMax,
    aliveMs: config.lockWaiterAliveMs,
    pollMs: config.lockPollMs,
    tell: (kind, event) =>
      kind === 'election' ? tellElection(event) : { kind: event.kind, payload: eventText(event) },
    onBatch(batch) {
      lockWatch.wake(namesOf(batch.changed, 'lock'))
      electionWatch.wake(namesOf(batch.changed, 'election'))
      observeLocks(metrics, batch)
    },
    onDeadlock(facts) {
      metrics.lockDeadlocks.inc()
      log.warn(facts, 'a deadlock over locks was ended: one request gave way')
    },
    onWait({ kind, name, holder, seconds, result }) {
      metrics.lockWaitSeconds.observe({ kind, result }, seconds)
      if (seconds * 1000 < config.lockSlowWaitMs) return
      log.warn({ kind, name, holder, seconds, result }, 'a request waited long for a lock')
    },
    log,
  })
  const metadataIndexes = createMetadataIndexes({ db, log })
  const openTransactions = createOpenTransactions({
    db,
    pinDb,
    max: config.stateTransactionsOpenMax,
    ageMsMax: config.stateTransactionAgeMsMax,
    log,
  })
  const advisorySession = createAdvisorySession({
    open: ground.openSession,
    heartbeatMs: advisoryHeartbeatMs,
    onLost: (locks) => advisory.lose(locks),
    log,
  })
  const advisory = createAdvisoryKeeper({ db, keeper, session: advisorySession, log })
  const looked = { config, db, publisher, replicas, advisorySession }
  return {
    ...config,
    db,
    copyPool,
    stagePool,
    readers,
    replicas,
    namespaces,
    readPreferences: createReadPreferences({ db, hasReplicas: config.replicaUrls.length > 0 }),
    entryReader: createEntryReader(db),
    openTransactions,
    openExport: createExports(readers.primary.openRows, config.exportStallMsMax),
    fileCache,
    onPrimaryMoved() {
      fileCache.clear()
      namespaces.forget()
      keeper.forget()
      replicas.distrust()
      void openTransactions.endAll()
    },
    committer,
    metadataIndexes,
    onIndexesWanted: metadataIndexes.wake,
    commitWatch,
    stateWatch,
    channelWatch,
    lockWatch,
    electionWatch,
    publications,
    onPublished,
    checkpointer: createCheckpointer({
      db,
      copyPool,
      storage,
      sidecarActionsMax: 250_000,
      pollMs: config.mirrorPollMs,
      takePublished: publisher.takePublished,
      onCheckpoint: ({ seconds, isWritten }) =>
        metrics.checkpointSeconds.observe({ result: isWritten ? 'written' : 'failed' }, seconds),
      onCleanUp: (files) => metrics.removedLogFiles.inc(files),
      onChecksums: (versions) => metrics.checksums.inc(versions),
      log,
    }),
    maintenance: createMaintenance({ db, retentionMs: config.idempotencyRetentionMs, log }),
    metrics,
    reservationWaiters,
    onReservationWait: ({ seconds, result }) =>
      metrics.reservationWaitSeconds.observe({ result }, seconds),
    onDeadlock: (facts) => {
      metrics.deadlocks.inc()
      log.warn(facts, 'a deadlock of reservations was ended: one transaction gave way')
    },
    keeper,
    advisory,
    advisorySession,
    onLockRefused: (reason) => metrics.lockRefusals.inc({ reason }),
    onForced: (facts) => log.warn(facts, 'a lock was forced open'),
    onTransactionEnd: (outcome, count) => metrics.transactions.inc({ outcome, reason: '' }, count),
    storage,
    onCommitted: publisher.wake,
    onMirrorRetry: publisher.retry,
    checks: createChecks(looked),
    notes: () => listNotes(looked),
    gauges: {
      commits: committer.counts,
      pool: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
      mirror: publisher.status,
      watchers: seats.taken,
      reservationWaiters: reservationWaiters.count,
      locks: keeper.counts,
      replicas: replicas.list,
      stateTransactions: openTransactions.count,
    },
  }
}

function namesOf(locks: readonly LockName[], wanted: LockName['kind']): string[] {
  return locks.flatMap(({ kind, name }) => (kind === wanted ? name : []))
}
