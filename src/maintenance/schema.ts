import Type from 'typebox'
import { define, Timestamp } from '../http/schema.ts'

const kinds = ['vacuum', 'retention', 'archive', 'checkpoint'] as const

export const StartParams = Type.Object({
  kind: Type.Enum([...kinds], {
    type: 'string',
    description:
      '`vacuum`: vacuums and analyzes each SQL table. `retention`: removes Idempotency-Keys that have outlived their time, and what the history of the state keeps no longer. `archive`: the latter in the namespaces that keep it in the archive. `checkpoint`: makes PostgreSQL write out what it holds in memory.',
    examples: ['vacuum'],
  }),
})

export const OperationParams = Type.Object({
  operationId: Type.String({
    format: 'uuid',
    description: 'Id of the operation.',
    examples: ['0f8fad5b-d9cb-469f-a165-70867728950e'],
  }),
})

export const MaintenanceOperation = define(
  'MaintenanceOperation',
  Type.Object(
    {
      operationId: Type.String({ format: 'uuid' }),
      kind: Type.Enum([...kinds], { type: 'string' }),
      state: Type.Enum(['running', 'succeeded', 'failed'], {
        type: 'string',
        description: '`running`: under way, or waiting for another one to end.',
      }),
      progress: Type.Object(
        { done: Type.Integer({ minimum: 0 }), total: Type.Integer({ minimum: 0 }) },
        {
          description:
            'Tables of a vacuum, keys and writes of a retention, writes of an archive, one for a checkpoint.',
        },
      ),
      error: Type.Optional(Type.String({ description: 'Why it failed.' })),
      createdAt: Timestamp('When it was asked for.'),
      finishedAt: Type.Optional(
        Timestamp('When it ended; where its server died, when that was last heard of.'),
      ),
    },
    {
      description: 'Work on the database, done in the background by the server that took it.',
      examples: [
        {
          operationId: '0f8fad5b-d9cb-469f-a165-70867728950e',
          kind: 'vacuum',
          state: 'running',
          progress: { done: 3, total: 9 },
          createdAt: '2026-11-20T08:30:00.000Z',
        },
      ],
    },
  ),
)

const Bytes = Type.Integer({ minimum: 0 })

const SqlTable = define(
  'SqlTable',
  Type.Object(
    {
      name: Type.String(),
      rows: Type.Integer({ minimum: 0, description: 'An estimate.' }),
      deadRows: Type.Integer({ minimum: 0, description: 'Rows to be vacuumed; an estimate.' }),
      sizeInBytes: Bytes,
      indexSizeInBytes: Bytes,
      lastVacuum: Type.Optional(Timestamp('By whom ever it was asked for.')),
      lastAnalyze: Type.Optional(Timestamp('By whom ever it was asked for.')),
    },
    {
      description: 'A table of the service in PostgreSQL.',
      examples: [
        { name: 'commits', rows: 1200, deadRows: 7, sizeInBytes: 262144, indexSizeInBytes: 65536 },
      ],
    },
  ),
)

const SqlIndex = define(
  'SqlIndex',
  Type.Object(
    {
      table: Type.String(),
      name: Type.String(),
      scans: Type.Integer({ minimum: 0, description: 'How often it was used.' }),
      sizeInBytes: Bytes,
    },
    {
      description: 'An index of the service in PostgreSQL.',
      examples: [{ table: 'commits', name: 'commits_pkey', scans: 5321, sizeInBytes: 65536 }],
    },
  ),
)

const SlowQueries = define(
  'SlowQueries',
  Type.Object(
    {
      available: Type.Boolean({ description: 'Whether pg_stat_statements counts queries.' }),
      reason: Type.Optional(Type.String({ description: 'Why it does not.' })),
      items: Type.Array(
        Type.Object({
          query: Type.String({ description: 'Without its constants; the first 1,000 characters.' }),
          calls: Type.Integer({ minimum: 0 }),
          totalMs: Type.Number({ minimum: 0, description: 'Over all calls.' }),
          meanMs: Type.Number({ minimum: 0 }),
          maxMs: Type.Number({ minimum: 0 }),
          rows: Type.Integer({ minimum: 0 }),
        }),
        { description: 'At most 20, by the time that they have taken in all.' },
      ),
    },
    { description: 'The queries that have taken most time.' },
  ),
)

export const DatabaseStatistics = define(
  'DatabaseStatistics',
  Type.Object(
    { tables: Type.Array(SqlTable), indexes: Type.Array(SqlIndex), slowQueries: SlowQueries },
    {
      description: 'What PostgreSQL has counted, a moment ago.',
      examples: [
        {
          tables: [],
          indexes: [],
          slowQueries: {
            available: false,
            reason:
              'The extension pg_stat_statements is absent: CREATE EXTENSION pg_stat_statements.',
            items: [],
          },
        },
      ],
    },
  ),
)

const lag = (description: string) =>
  Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description: `${description} Null where it is not known.`,
  })

const Replica = define(
  'Replica',
  Type.Object(
    {
      name: Type.String({ description: 'Its application_name.' }),
      state: Type.String({ description: 'As in pg_stat_replication, or `unknown`.' }),
      lagMs: lag('Milliseconds by which it is behind.'),
      lagBytes: lag('Bytes of the write-ahead log that it has not replayed.'),
    },
    {
      description: 'A PostgreSQL that follows the one of this server.',
      examples: [{ name: 'replica-1', state: 'streaming', lagMs: 12, lagBytes: 4096 }],
    },
  ),
)

const ReadReplica = define(
  'ReadReplica',
  Type.Object(
    {
      name: Type.String({ description: 'Host and port, or the folder of a socket.' }),
      healthy: Type.Boolean({ description: 'Whether this server lets reads go there.' }),
      lagMs: lag('Milliseconds by which it was behind the primary when it was last asked.'),
      replayPosition: Type.Union([Type.String(), Type.Null()], {
        description:
          'How far it has replayed the log of the primary, as in a Consistency-Token. Null where it is not known.',
      }),
      checkedAt: Type.Optional(Timestamp('When this server last asked it.')),
      lastFault: Type.Optional(
        Type.String({ description: 'What was last wrong, also where all is well since.' }),
      ),
      lastFaultAt: Type.Optional(Timestamp('When that was last so.')),
    },
    {
      description: 'A PostgreSQL of `REPLICA_URLS`, as this server sees it.',
      examples: [{ name: 'replica:5432', healthy: true, lagMs: 0, replayPosition: '0/1A2B3C4D' }],
    },
  ),
)

export const Replication = define(
  'Replication',
  Type.Object(
    {
      role: Type.Enum(['primary', 'standby'], {
        type: 'string',
        description: 'Of the PostgreSQL of this server.',
      }),
      replicas: Type.Array(Replica),
      readReplicas: Type.Array(ReadReplica),
    },
    {
      description: 'Who follows whom.',
      examples: [{ role: 'primary', replicas: [], readReplicas: [] }],
    },
  ),
)
