import Type, { type Static } from 'typebox'
import { databaseUrlMustBe } from './database/database-url.ts'
import { tlsModes } from './database/tls-settings.ts'

const integerUpTo = (maximum: number) => (fallback: number, description: string) =>
  Type.Integer({ minimum: 1, maximum, default: fallback, description })

const count = integerUpTo(Number.MAX_SAFE_INTEGER)
/** Up to what the timers of Node and PostgreSQL take. */
const wait = integerUpTo(2 ** 31 - 1)
/** Up to a hundred years, which PostgreSQL's dates take. */
const age = integerUpTo(100 * 365 * 86_400_000)

const file = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

/** Every setting, its default and its meaning; `.env.example` lists the same, and a test keeps it so. */
export const SettingsSchema = Type.Object({
  HOST: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    default: 8080,
    description: 'Port to listen on; 0 takes a free one.',
  }),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      mustBe: databaseUrlMustBe,
      description:
        'PostgreSQL to use; of several hosts, h1:5432,h2:5432, the one that takes writes. Without it an embedded PostgreSQL runs in DATA_DIR.',
    }),
  ),
  DATABASE_POOL_MIN: Type.Integer({
    minimum: 0,
    maximum: 10_000,
    default: 0,
    description: 'Connections to PostgreSQL that are kept open at least.',
  }),
  DATABASE_POOL_MAX: count(10, 'Connections to PostgreSQL at most.'),
  DATABASE_WAIT_MS_MAX: wait(5_000, 'Wait for a connection or a row lock at most.'),
  DATABASE_IDLE_MS_MAX: wait(
    10_000,
    'Time after which a connection that nobody uses is closed, beyond DATABASE_POOL_MIN.',
  ),
  DATABASE_CONNECTION_AGE_MS_MAX: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 2 ** 31 - 1,
      description:
        'Age beyond which a connection is closed once nobody uses it. Without it there is none.',
    }),
  ),
  DATABASE_TEST_ON_ACQUIRE: Type.Enum(['true', 'false'], {
    type: 'string',
    default: 'false',
    description:
      'Whether a connection is asked if it is still there before each use, which costs a journey.',
  }),
  DATABASE_TLS_MODE: Type.Optional(
    Type.Enum([...tlsModes], {
      type: 'string',
      description:
        'How connections to PostgreSQL are encrypted and whose certificate is taken, as sslmode in libpq. Default: the sslmode of the URL, or disable.',
    }),
  ),
  DATABASE_TLS_ROOT_FILE: file('Certificates that are trusted to sign that of PostgreSQL, as PEM.'),
  DATABASE_TLS_CERTIFICATE_FILE: file('Certificate of this server towards PostgreSQL, as PEM.'),
  DATABASE_TLS_KEY_FILE: file('Private key of that certificate, as PEM.'),
  DATABASE_STATEMENT_MS_MAX: wait(60_000, 'Time that one SQL statement may take at most.'),
  DATABASE_COPY_POOL_MAX: count(
    4,
    'Connections for large transfers (COPY) at most, in each direction.',
  ),
  DATABASE_COPY_MS_MAX: wait(600_000, 'Time that one large transfer may take at most.'),
  REPLICA_URLS: Type.Optional(
    Type.String({
      minLength: 1,
      mustBe: `a list of URLs, separated by commas, each ${databaseUrlMustBe.replace('a URL ', '')}`,
      description:
        'Standbys of the database, separated by commas, that reads go to which allow it. The settings of TLS hold for them too.',
    }),
  ),
  REPLICA_CHECK_MS: wait(500, 'Time between two looks at the replicas.'),
  REPLICA_WAIT_MS_MAX: wait(
    50,
    'Wait at most for a replica to come as far as the Consistency-Token of a read.',
  ),
  DATA_DIR: Type.String({
    minLength: 1,
    default: './data',
    description: 'Folder of the embedded PostgreSQL and of tables that name no location.',
  }),
  MIRROR_ROOTS: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'What tables may lie in, separated by ":": absolute folders, s3://bucket/prefix. Default: DATA_DIR/tables.',
    }),
  ),
  S3_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#@]+/?$',
      mustBe: 'a URL like https://s3.example.com:9000, without credentials, path or query',
      description: "URL of an S3 endpoint other than Amazon's.",
    }),
  ),
  S3_REGION: Type.Optional(
    Type.String({
      pattern: '^[\\w-]+$',
      mustBe: 'the name of a region, such as us-east-1',
      description: 'Region of the buckets. Default: AWS_REGION, or that of the AWS profile.',
    }),
  ),
  S3_FORCE_PATH_STYLE: Type.Optional(
    Type.Enum(['true', 'false'], {
      type: 'string',
      description:
        'Whether buckets stand in the path of a URL, not in its host. Default: true with S3_ENDPOINT.',
    }),
  ),
  S3_SOCKETS_MAX: count(50, 'Connections to S3 at most.'),
  S3_REQUEST_MS_MAX: wait(15_000, 'Time that one attempt of a request to S3 may take at most.'),
  S3_ATTEMPTS_MAX: integerUpTo(10)(3, 'Attempts of a request to S3 at most.'),
  MIRROR_POLL_MS: wait(1_000, 'Time between two looks for commits that wait to be published.'),
  MIRROR_LAG_MS_MAX: wait(60_000, 'Lag of the mirror beyond which the server is not ready.'),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    type: 'string',
    default: 'info',
    description: 'Least level that is logged.',
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(
    Type.String({
      pattern: '^https?://[^/?#@]+(/[^?#]*)?$',
      mustBe: 'a URL like http://collector.example.com:4318, without credentials or query',
      description: 'OpenTelemetry collector that takes spans over HTTP. Without it none are made.',
    }),
  ),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'Share of the traces that begin here to be told, from 0 to 1.',
  }),
  BODY_BYTES_MAX: count(64 * 1024 * 1024, 'Size of a request body at most.'),
  LINES_BYTES_MAX: count(4 * 1024 ** 3, 'Size of a request body of lines (NDJSON) at most.'),
  ACTIONS_MAX: count(5_000_000, 'Actions in one commit at most.'),
  HELD_ACTIONS_MAX: count(
    5_000,
    'Actions of one commit that are held in memory; the files of a larger one are staged.',
  ),
  TRANSACTION_TABLES_MAX: count(100, 'Tables in one transaction at most.'),
  TRANSACTION_ACTIONS_MAX: count(5_000_000, 'Actions in one transaction at most.'),
  TRANSACTION_AGE_MS_MAX: age(86_400_000, 'Age beyond which a transaction is not committed.'),
  TRANSACTION_EXPIRES_MS_MAX: age(
    604_800_000,
    'Time for which a transaction may stay active at most, and does if it says nothing else.',
  ),
  TRANSACTIONS_ACTIVE_MAX: count(
    10_000,
    'Transactions that are under way at most, over all servers; more get 429.',
  ),
  TRANSACTION_CLAIM_MS: wait(
    15_000,
    'Time without a sign of life after which the commit of a staged transaction is given up, and who waits for a reservation is forgotten.',
  ),
  RESERVATION_WAIT_MS_MAX: wait(
    60_000,
    'Time for which a request may wait for reservations at most.',
  ),
  RESERVATION_WAITERS_MAX: count(
    1_000,
    'Requests that wait for reservations at most; more get 429.',
  ),
  RESERVATION_POLL_MS: wait(
    200,
    'Time between two looks for reservations that ended at other servers.',
  ),
  LOCK_TTL_MS_MAX: wait(86_400_000, 'Time for which a lock is leased at most.'),
  LOCK_DELAY_MS_MAX: wait(
    60_000,
    'Time at most for which nobody gets a lock whose holder has let it expire.',
  ),
  LOCK_HOLDERS_MAX: count(1_000, 'Holders that may share a lock; more wait.'),
  LOCK_WAIT_MS_MAX: wait(60_000, 'Time for which a request may wait for a lock at most.'),
  LOCK_WAITERS_MAX: count(10_000, 'Requests that wait for locks at most; more get 429.'),
  LOCK_WAITER_ALIVE_MS: wait(
    5_000,
    'Time without a sign of life of its server after which a request that waits for a lock is forgotten.',
  ),
  LOCK_SLOW_WAIT_MS: wait(10_000, 'Time from which on a wait for a lock is logged.'),
  LOCK_POLL_MS: wait(
    25,
    'Time between two looks for locks that were let expire, or that other servers have granted, while requests wait.',
  ),
  STATE_VALUE_BYTES_MAX: count(8 * 1024 * 1024, 'Size of the value of a state entry at most.'),
  STATE_OPERATIONS_MAX: count(10_000, 'Operations on state entries in one request at most.'),
  STATE_EXPIRY_POLL_MS: wait(1_000, 'Time between two looks for state entries that have expired.'),
  STATE_RETENTION_POLL_MS: wait(
    10_000,
    'Time between two looks for what the history of the state keeps no longer.',
  ),
  EVENT_BYTES_MAX: count(1024 * 1024, 'Size of the payload of an event at most.'),
  EVENT_RETENTION_MS: age(
    86_400_000,
    'Time for which events of channels, locks and elections are kept.',
  ),
  EVENT_QUEUE_MAX: count(10_000, 'Events that wait to be published at most; more get 429.'),
  BATCH_ACTIONS_MAX: count(20_000, 'Actions in one batch of commits at which it is closed.'),
  BATCHES_MAX: count(4, 'Batches of commits in flight at most.'),
  QUEUE_COMMITS_MAX: count(
    10_000,
    'Commits waiting for their batch at most, half of them for one table; more get 429.',
  ),
  IDEMPOTENCY_RETENTION_MS: age(86_400_000, 'Time for which an Idempotency-Key is kept.'),
  EXPORT_STALL_MS_MAX: wait(
    30_000,
    'Time for which the client of a large export may take nothing before it is cut off.',
  ),
  SCAN_CACHE_BYTES_MAX: count(
    128 * 1024 * 1024,
    'Memory for what scans keep of files at most; larger tables are read for each scan.',
  ),
  WATCHERS_MAX: count(10_000, 'Streams of events that are open at most; more get 429.'),
  WATCH_POLL_MS: wait(500, 'Time between two looks for writes of other servers to be watched.'),
  WATCH_BOOKMARK_MS: wait(
    10_000,
    'Time after which a stream of state that had nothing to send says how far it has come.',
  ),
  WATCH_BLOCKED_MS_MAX: wait(60_000, 'Time for which a stream may wait for its reader at most.'),
  REQUEST_MS_MAX: wait(120_000, 'Time in which a request must have arrived whole.'),
  SHUTDOWN_MS_MAX: wait(30_000, 'Time that requests under way get to finish at a stop.'),
})

/** The settings as they are read, by their names in the environment. */
export type Settings = Static<typeof SettingsSchema>
