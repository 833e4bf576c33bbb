import type { FastifyInstance } from 'fastify'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import Type from 'typebox'
import { refusals } from './schema.ts'

/** What is measured, beyond the requests that `installMetrics` counts itself. */
export interface Metrics {
  registry: Registry
  commitSeconds: Histogram
  batchUnits: Histogram
  batchSeconds: Histogram
}

/** Numbers that are looked up when they are asked for. */
export interface Gauges {
  commits: () => { waiting: number; inFlight: number }
  pool: () => { total: number; idle: number; waiting: number }
  mirror: () => { tables: number; lagMs: number }
  watchers: () => number
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export function createMetrics(): Metrics {
  const registers = [new Registry()]
  const registry = registers[0] as Registry
  collectDefaultMetrics({ register: registry })
  return {
    registry,
    commitSeconds: new Histogram({
      name: 'deltaworks_commit_duration_seconds',
      help: 'Time from the proposal of a commit to its verdict.',
      buckets: seconds,
      registers,
    }),
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
  }
}

function registerGauges(registry: Registry, { commits, pool, mirror, watchers }: Gauges): void {
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
  gauge('commit_queue_units', 'Units of work that wait for their batch.', () => commits().waiting)
  gauge('commit_in_flight_units', 'Units of work in batches in flight.', () => commits().inFlight)
  gauge('watchers', 'Streams of events that are open.', watchers)
  gauge('mirror_tables_behind', 'Tables with commits not yet published.', () => mirror().tables)
  gauge(
    'mirror_lag_seconds',
    'Age of the oldest commit not yet published.',
    () => mirror().lagMs / 1000,
  )
  new Gauge({
    name: 'deltaworks_database_pool_connections',
    help: 'Connections to PostgreSQL: open, idle, and requests that wait for one.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(pool())) this.set({ state }, count)
    },
  })
}

/** Measures every request by route and status, and serves all numbers at `/metrics`. */
export function installMetrics(app: FastifyInstance, { registry }: Metrics, gauges: Gauges): void {
  registerGauges(registry, gauges)
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
