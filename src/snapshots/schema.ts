import Type, { type Static } from 'typebox'
import { ActionSchema, AppTransactionSchema, DomainMetadataSchema } from '../commits/schema.ts'
import { define, Long, noNul, strictObject, Version } from '../http/schema.ts'
import { MetadataSchema, ProtocolSchema, Statistics, TableParams } from '../tables/schema.ts'

/** Which version to read; the newest when neither is given. */
export const VersionQuery = {
  version: Type.Optional(Version('The version to read.')),
  timestamp: Type.Optional(
    Type.String({
      format: 'date-time',
      maxLength: 64,
      description: 'Read the newest version that is not younger than this instant (RFC 3339).',
    }),
  ),
}

export const SnapshotQuery = strictObject(VersionQuery)

export const Snapshot = define(
  'Snapshot',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      version: Type.Integer({ minimum: 0 }),
      inCommitTimestamp: Type.Integer({ description: 'Epoch milliseconds.' }),
      protocol: ProtocolSchema,
      metadata: MetadataSchema,
      appTransactions: Type.Array(AppTransactionSchema, {
        description: 'The newest of each appId; of the first 1,000 in the order of the appIds.',
      }),
      domainMetadata: Type.Array(DomainMetadataSchema, {
        description:
          'The newest of each domain, without removed ones; of the first 1,000 in the order of the domains.',
      }),
      isCut: Type.Optional(
        Type.Boolean({
          description:
            'There are more applications or domains. `app-transactions` looks one up, and `changes` from version 0 lists all.',
        }),
      ),
      statistics: Statistics,
    },
    { description: 'A table at one version, without its files.' },
  ),
)

/** Tables of one consistent view at most. */
export const snapshotTablesMax = 1000

export const CreateSnapshot = define(
  'CreateSnapshot',
  strictObject(
    {
      tables: Type.Array(TableParams.properties.id, {
        minItems: 1,
        maxItems: snapshotTablesMax,
        description: 'Ids or names.',
      }),
      timestamp: Type.Optional(
        Type.String({
          format: 'date-time',
          maxLength: 64,
          description: 'The newest versions that are not younger than this instant (RFC 3339).',
        }),
      ),
      transactionId: Type.Optional(
        Type.String({
          format: 'uuid',
          description:
            'The versions that this transaction made; of tables that it did not change, those that were not younger.',
        }),
      ),
    },
    {
      description:
        'Of which tables a consistent set of versions is asked for; the newest by default.',
      examples: [{ tables: ['sales.orders'] }],
    },
  ),
)
export type CreateSnapshot = Static<typeof CreateSnapshot>

export const SnapshotSet = define(
  'SnapshotSet',
  Type.Object(
    {
      tables: Type.Array(
        Type.Object({
          tableId: Type.String({ format: 'uuid' }),
          version: Type.Integer({ minimum: 0 }),
          inCommitTimestamp: Type.Integer({ description: 'Epoch milliseconds.' }),
        }),
        { description: 'In the order in which they were asked for.' },
      ),
    },
    { description: 'Versions that were the newest of their tables at one moment.' },
  ),
)

export const FileList = define(
  'FileList',
  Type.Object({
    version: Type.Integer({ minimum: 0, description: 'The version that was read.' }),
    items: Type.Array(ActionSchema, { description: 'Live files as add actions.' }),
    nextCursor: Type.Optional(Type.String()),
  }),
)

export const AppTransactionParams = Type.Object({
  ...TableParams.properties,
  appId: Type.String({
    ...noNul,
    minLength: 1,
    maxLength: 1000,
    description: 'The application, percent-encoded. No application has NUL in its name.',
    examples: ['loader'],
  }),
})

export const AppTransactionState = define(
  'AppTransactionState',
  Type.Object(
    {
      appId: Type.String(),
      version: Long('The newest version that the application has written.'),
      lastUpdated: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
      committedIn: Type.Integer({
        minimum: 0,
        description: 'The version of the table, or the oldest that is known to have it.',
      }),
    },
    { description: 'How far an application has come with a table.' },
  ),
)
