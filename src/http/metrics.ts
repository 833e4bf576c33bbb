import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import Type from 'typebox'
import { refusals } from './schema.ts'

/** What is measured, beyond the requests that `installMetrics` counts itself. */
export interface Metrics {
  registry: Registry
  commits: Counter<'outcome' | 'reason'>
  stateWrites: Counter<'outcome' | 'reason'>
  commitSeconds: Histogram
  commitWaitSeconds: Histogram
  transactions: Counter<'outcome' | 'reason'>
  transactionSeconds: Histogram<'outcome'>
  transactionTables: Histogram
  transactionActions: Histogram
  batchUnits: Histogram
  batchSeconds: Histogram
  checkpointSeconds: Histogram<'result'>
  checksums: Counter
  removedLogFiles: Counter
  reservationWaitSeconds: Histogram<'result'>
  deadlocks: Counter
  lockGrants: Counter<'kind' | 'mode'>
  lockHoldSeconds: Histogram<'kind' | 'end'>
  lockWaitSeconds: Histogram<'kind' | 'result'>
  lockRefusals: Counter<'reason'>
  lockDeadlocks: Counter
  repeatedReads: Counter
  publishedEvents: Counter
}

/** Numbers that are looked up when they are asked for. */
export interface Gauges {
  commits: () => { waiting: number; inFlight: number }
  pool: () => Record<'total' | 'idle' | 'waiting', number>
  mirror: () => MirrorNumbers
  watchers: () => number
  reservationWaiters: () => number
  locks: () => { waiting: number; inFlight: number; waiters: number }
  replicas: () => readonly { name: string; healthy: boolean; lagMs: number | undefined }[]
}

type Numbers = Readonly<Record<string, number>>

/** What is measured of the mirror. */
interface MirrorNumbers {
  /** Tables by the state of their mirror. */
  states: Numbers
  pending: number
  lagMs: number
  restingStores: readonly string[]
  published: number
  ahead: number
  /** Attempts that came to nothing, by kind. */
  failures: Numbers
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export function createMetrics(): Metrics {
  const registers = [new Registry()]
  const registry = registers[0] as Registry
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    commits: new Counter({
      name: 'deltaworks_commits_total',
      help: 'Proposals of commits to single tables, by what became of them and why.',
      labelNames: ['outcome', 'reason'],
      registers,
    }),
    stateWrites: new Counter({
      name: 'deltaworks_state_writes_total',
      help: 'Requests that write to one namespace of the state, by what became of them and why.',
      labelNames: ['outcome', 'reason'],
      registers,
    }),
    commitSeconds: new Histogram({
      name: 'deltaworks_commit_duration_seconds',
      help: 'Time from the proposal of a commit, or of writes to the state, to its verdict.',
      buckets: seconds,
      registers,
    }),
    commitWaitSeconds: new Histogram({
      name: 'deltaworks_commit_wait_seconds',
      help: 'Time for which a commit waited for its batch to begin.',
      buckets: seconds,
      registers,
    }),
    ...transactionMetrics(registers),
    batchUnits: new Histogram({
      name: 'deltaworks_commit_batch_units',
      help: 'Units of work committed in one database transaction.',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'deltaworks_commit_batch_duration_seconds',
      help: 'Time that the database transaction of a batch took.',
      buckets: seconds,
      registers,
    }),
    checkpointSeconds: new Histogram({
      name: 'deltaworks_checkpoint_duration_seconds',
      help: 'Time that a checkpoint took, by how it ended.',
      labelNames: ['result'],
      buckets: [0.1, 0.5, 1, 5, 10, 30, 60, 300],
      registers,
    }),
    checksums: new Counter({
      name: 'deltaworks_version_checksums_total',
      help: 'Versions beside whose log file a checksum was written.',
      registers,
    }),
    removedLogFiles: new Counter({
      name: 'deltaworks_log_files_removed_total',
      help: 'Files of logs removed after their retention time.',
      registers,
    }),
    reservationWaitSeconds: new Histogram({
      name: 'deltaworks_reservation_wait_seconds',
      help: 'Time for which requests waited for reservations, by how it ended.',
      labelNames: ['result'],
      buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    deadlocks: new Counter({
      name: 'deltaworks_reservation_deadlocks_total',
      help: 'Deadlocks of reservations that this server has found and ended.',
      registers,
    }),
    ...lockMetrics(registers),
    publishedEvents: new Counter({
      name: 'deltaworks_events_published_total',
      help: 'Events that this server has published to channels.',
      registers,
    }),
    repeatedReads: new Counter({
      name: 'deltaworks_repeated_reads_total',
      help: 'Reads that failed on a replica and were repeated on the primary.',
      registers,
    }),
  }
}

function transactionMetrics(registers: Registry[]) {
  return {
    transactions: new Counter({
      name: 'deltaworks_transactions_total',
      help: 'Transactions by what became of them and why; one that is refused may come again.',
      labelNames: ['outcome', 'reason'] as const,
      registers,
    }),
    transactionSeconds: new Histogram({
      name: 'deltaworks_transaction_duration_seconds',
      help: 'Time that the commit of a transaction took to its verdict, by outcome.',
      labelNames: ['outcome'] as const,
      buckets: seconds,
      registers,
    }),
    transactionTables: new Histogram({
      name: 'deltaworks_transaction_tables',
      help: 'Tables in a transaction that was committed.',
      buckets: [1, 2, 5, 10, 20, 50, 100],
      registers,
    }),
    transactionActions: new Histogram({
      name: 'deltaworks_transaction_actions',
      help: 'Actions in a transaction that was committed.',
      buckets: [1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
      registers,
    }),
  }
}

const longSeconds = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

function lockMetrics(registers: Registry[]) {
  return {
    lockGrants: new Counter({
      name: 'deltaworks_lock_grants_total',
      help: 'Locks and elections that this server has granted, by kind and mode.',
      labelNames: ['kind', 'mode'] as const,
      registers,
    }),
    lockHoldSeconds: new Histogram({
      name: 'deltaworks_lock_hold_seconds',
      help: 'Time for which locks were held, by kind and by how it ended: released, expired or forced.',
      labelNames: ['kind', 'end'] as const,
      buckets: [0.01, 0.1, 1, 10, 60, 600, 3600, 86_400],
      registers,
    }),
    lockWaitSeconds: new Histogram({
      name: 'deltaworks_lock_wait_seconds',
      help: 'Time for which requests waited for locks, by kind and by how it ended.',
      labelNames: ['kind', 'result'] as const,
      buckets: longSeconds,
      registers,
    }),
    lockRefusals: new Counter({
      name: 'deltaworks_lock_refusals_total',
      help: 'Requests about locks that were refused, by reason: held by others, lost by the holder, or a deadlock.',
      labelNames: ['reason'] as const,
      registers,
    }),
    lockDeadlocks: new Counter({
      name: 'deltaworks_lock_deadlocks_total',
      help: 'Deadlocks over locks, and perhaps reservations, that this server has found and ended.',
      registers,
    }),
  }
}

function registerGauges(registry: Registry, gauges: Gauges): void {
  const { commits, pool, mirror, watchers, reservationWaiters, locks, replicas } = gauges
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `deltaworks_${name}`,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  /** One number for each value of a label, all of them read anew. */
  const labelled = (name: string, [label, help]: [string, string], read: () => Numbers) =>
    new Gauge({
      name: `deltaworks_${name}`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset()
        for (const [value, number] of Object.entries(read())) this.set({ [label]: value }, number)
      },
    })
  gauge('commit_queue_units', 'Units of work that wait for their batch.', () => commits().waiting)
  gauge('commit_in_flight_units', 'Units of work in batches in flight.', () => commits().inFlight)
  gauge('watchers', 'Streams of events that are open.', watchers)
  gauge('reservation_waiters', 'Requests that wait for reservations.', reservationWaiters)
  gauge('lock_waiters', 'Requests that wait for locks.', () => locks().waiters)
  gauge('lock_queue_demands', 'Demands on locks that wait for their batch.', () => locks().waiting)
  labelled(
    'mirror_tables',
    ['state', 'Tables by the state of their mirror.'],
    () => mirror().states,
  )
  gauge('mirror_pending_versions', 'Versions not yet published.', () => mirror().pending)
  gauge(
    'mirror_lag_seconds',
    'Age of the oldest commit not yet published, of tables that wait for no person.',
    () => mirror().lagMs / 1000,
  )
  labelled(
    'mirror_resting_stores',
    ['store', 'Stores that this server leaves alone for now, for several of their tables failed.'],
    () => Object.fromEntries(mirror().restingStores.map((store) => [store, 1])),
  )
  labelled(
    'database_pool_connections',
    ['state', 'Connections to PostgreSQL: open, idle, and requests that wait for one.'],
    pool,
  )
  labelled('replica_healthy', ['replica', 'Whether this server lets reads go to a replica.'], () =>
    Object.fromEntries(replicas().map(({ name, healthy }) => [name, healthy ? 1 : 0])),
  )
  labelled(
    'replica_lag_seconds',
    ['replica', 'How far a replica was behind when it was last asked, where that is known.'],
    () =>
      Object.fromEntries(
        replicas().flatMap(({ name, lagMs }) =>
          lagMs === undefined ? [] : [[name, lagMs / 1000]],
        ),
      ),
  )
}

/** What the mirror counts itself. */
function registerCounters(registry: Registry, mirror: Gauges['mirror']): void {
  const registers = [registry]
  new Counter({
    name: 'deltaworks_mirror_published_versions_total',
    help: 'Versions that this server has published.',
    registers,
    collect() {
      this.reset()
      this.inc(mirror().published)
    },
  })
  new Counter({
    name: 'deltaworks_mirror_versions_ahead_total',
    help: 'Versions that this server has published before those of other tables of their transaction, which could not be.',
    registers,
    collect() {
      this.reset()
      this.inc(mirror().ahead)
    },
  })
  new Counter({
    name: 'deltaworks_mirror_failures_total',
    help: 'Attempts of this server to publish a table that came to nothing, by kind.',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset()
      for (const [kind, count] of Object.entries(mirror().failures)) this.inc({ kind }, count)
    },
  })
}

/** Measures every request by route and status, and serves all numbers at `/metrics`. */
export function installMetrics(app: FastifyInstance, { registry }: Metrics, gauges: Gauges): void {
  registerGauges(registry, gauges)
  registerCounters(registry, gauges.mirror)
  const labelNames = ['method', 'route', 'status'] as const
  const requests = new Counter({
    name: 'deltaworks_http_requests_total',
    help: 'Requests answered.',
    labelNames,
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'deltaworks_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its answer.',
    labelNames,
    buckets: seconds,
    registers: [registry],
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    const labels = { method: request.method, route, status: String(reply.statusCode) }
    requests.inc(labels)
    durations.observe(labels, reply.elapsedTime / 1000)
  })
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'getMetrics',
        tags: ['service'],
        summary: 'Metrics in the text format of Prometheus',
        description:
          'Requests, commits, batches, the pool of connections, the mirror, the process.',
        response: {
          200: { description: 'Metrics.', content: { 'text/plain': { schema: Type.String() } } },
          ...refusals(),
        },
      },
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  )
}
