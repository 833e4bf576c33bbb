import Type, { type Static } from 'typebox'
import { actionShapes } from '../delta/actions.ts'
import { PredicateShape } from '../delta/predicates/shape.ts'
import { define, Long, noNul, strictObject, Timestamp, Version } from '../http/schema.ts'
import { Fences } from '../locks/fence-schema.ts'
import type { ProblemCode } from '../problems.ts'
import { MetadataSchema, ProtocolSchema, TableParams } from '../tables/schema.ts'

/** How what a commit relies on can be out of date, as every request that is judged may be told. */
export const ofJudging: readonly ProblemCode[] = [
  'version-not-found',
  'protocol-changed',
  'metadata-changed',
  'domain-metadata-conflict',
  'concurrent-transaction',
  'concurrent-append',
  'concurrent-delete-read',
  'concurrent-delete-delete',
  'read-too-old',
  'stale-fence',
]

/** A table and one of its versions. */
export const VersionParams = Type.Object({
  ...TableParams.properties,
  version: Version('The version.', { examples: [0] }),
})

/** Actions on a page of a commit. */
export const ActionsLimit = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: 10_000,
    description: 'Actions on a page at most.',
  }),
)

const { add, remove, cdc, txn, domainMetadata, commitInfo } = actionShapes

export const AppTransactionSchema = define('AppTransaction', txn)
export const DomainMetadataSchema = define('DomainMetadata', domainMetadata)

/** One action, as it stands in a line of a Delta log. */
export const ActionSchema = define(
  'Action',
  Type.Object(
    {
      add: Type.Optional(define('AddFile', add)),
      remove: Type.Optional(define('RemoveFile', remove)),
      cdc: Type.Optional(define('AddCdcFile', cdc)),
      metaData: Type.Optional(MetadataSchema),
      protocol: Type.Optional(ProtocolSchema),
      txn: Type.Optional(AppTransactionSchema),
      domainMetadata: Type.Optional(DomainMetadataSchema),
      commitInfo: Type.Optional(define('CommitInfo', commitInfo)),
    },
    {
      minProperties: 1,
      maxProperties: 1,
      additionalProperties: true,
      description:
        'One member, named for the kind of action, as in a line of a Delta log. Fields and kinds that are not known are kept token for token.',
    },
  ),
)

const exampleAdd = {
  path: 'day=2026-11-20/part-0.parquet',
  partitionValues: { day: '2026-11-20' },
  size: 1024,
  modificationTime: 1_795_000_000_000,
  dataChange: true,
  stats: '{"numRecords":3}',
}

const jsonObject = (description: string) =>
  Type.Object({}, { additionalProperties: true, description })

/** Characters of the name of an operation at most. */
export const operationLengthMax = 255

const PredicateSchema = define('Predicate', PredicateShape)

const readsMax = 100_000

export const Reads = define(
  'Reads',
  strictObject(
    {
      wholeTable: Type.Optional(
        Type.Boolean({ description: 'All files, those to come included.' }),
      ),
      predicates: Type.Optional(
        Type.Array(PredicateSchema, {
          maxItems: 100,
          description: 'Each stands for all files that it can select, those to come included.',
        }),
      ),
      files: Type.Optional(
        Type.Array(Type.String({ maxLength: 10_000 }), {
          maxItems: readsMax,
          description: 'Paths of files, as their adds have them.',
        }),
      ),
      appIds: Type.Optional(
        Type.Array(Type.String({ maxLength: 1000 }), {
          maxItems: readsMax,
          description: 'Applications whose app transaction was looked up.',
        }),
      ),
      domains: Type.Optional(
        Type.Array(Type.String({ maxLength: 1000 }), {
          maxItems: readsMax,
          description: 'Metadata domains that were read.',
        }),
      ),
    },
    { description: 'What was read at `readVersion`. What is not declared counts as not read.' },
  ),
)

/** Fields of a proposal, besides its actions. */
export const proposalFields = {
  expectedVersion: Type.Optional(Version('The version that this commit must become.')),
  readVersion: Type.Optional(
    Version(
      'The version that this commit was decided on. What came since is judged for conflicts with `reads`; without one the commit becomes the next version.',
    ),
  ),
  isolationLevel: Type.Optional(
    Type.Enum(['Serializable', 'WriteSerializable', 'SnapshotIsolation'], {
      type: 'string',
      description:
        'Which files that others have added count as conflicts. Default: what the table’s `delta.isolationLevel` says, else WriteSerializable, which lets blind appends pass.',
    }),
  ),
  reads: Type.Optional(Reads),
  operation: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: operationLengthMax,
      ...noNul,
      description: 'What the writer did: WRITE, DELETE, MERGE, … NUL cannot be kept.',
    }),
  ),
  operationParameters: Type.Optional(jsonObject('Kept in commitInfo.')),
  operationMetrics: Type.Optional(jsonObject('Kept in commitInfo.')),
  engineInfo: Type.Optional(Type.String({ maxLength: 1000, description: 'Kept in commitInfo.' })),
  userMetadata: Type.Optional(
    Type.String({ maxLength: 100_000, description: 'Kept in commitInfo.' }),
  ),
  idempotency: Type.Optional(
    strictObject(
      {
        appId: Type.String({ minLength: 1, maxLength: 250, ...noNul }),
        version: Type.Integer({ minimum: 0 }),
      },
      {
        description:
          'Adds a txn action. When the table has this version of the app already, or a later one, nothing is written and the answer is 200 with `status: duplicate`.',
      },
    ),
  ),
  fences: Type.Optional(Fences),
}

export const CreateCommit = define(
  'CreateCommit',
  strictObject(
    { ...proposalFields, actions: Type.Array(ActionSchema) },
    {
      description:
        'With `expectedVersion` the commit becomes exactly that version or is refused. With `readVersion` it is refused when what came since is in conflict with what was read, and else rebased. With neither it becomes the next version, whatever that is.',
      examples: [
        {
          operation: 'WRITE',
          idempotency: { appId: 'loader', version: 1 },
          actions: [{ add: exampleAdd }],
        },
      ],
    },
  ),
)
export type CreateCommit = Static<typeof CreateCommit>

/** Checked by the route, line by line as they arrive. */
export const ActionLines = Type.Unsafe<CreateCommit>({
  type: 'string',
  contentMediaType: 'application/x-ndjson',
  description: 'One action a line, exactly as in a log file.',
  examples: [`${JSON.stringify({ add: exampleAdd })}\n`],
})

/** The same fields where the body is NDJSON; those that are objects go into a first line `{"proposal": {…}}`. */
export const CreateCommitQuery = strictObject({
  expectedVersion: proposalFields.expectedVersion,
  readVersion: proposalFields.readVersion,
  isolationLevel: proposalFields.isolationLevel,
  operation: proposalFields.operation,
  engineInfo: proposalFields.engineInfo,
  userMetadata: Type.Optional(
    Type.String({
      maxLength: 1000,
      description: 'Kept in commitInfo. A longer one stands in the first line.',
    }),
  ),
})
export type CreateCommitQuery = Static<typeof CreateCommitQuery>

/** How many files a commit changes, and of what size. */
export const commitCounts = {
  numAddedFiles: Type.Integer({ minimum: 0 }),
  numRemovedFiles: Type.Integer({ minimum: 0 }),
  numAddedBytes: Long('Sum of the sizes of the files added.'),
  numRemovedBytes: Long('Sum of the sizes of the live files removed.'),
}

const inCommitTimestamp = Type.Integer({
  description: 'Epoch milliseconds; rises from version to version.',
})

export const CommitReceipt = define(
  'CommitReceipt',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      version: Type.Integer({ minimum: 0 }),
      inCommitTimestamp,
      status: Type.Enum(['committed', 'duplicate'], { type: 'string' }),
      readVersion: Type.Optional(Type.Integer({ minimum: 0 })),
      rebasedOver: Type.Array(Type.Integer(), {
        description: 'Versions that came between read and commit.',
      }),
      ...commitCounts,
    },
    { description: 'The commit is durable.' },
  ),
)

export const CommitCheck = define(
  'CommitCheck',
  Type.Object(
    {
      status: Type.Integer({ description: 'The status that the commit would be answered with.' }),
      answer: Type.Object(
        {},
        { additionalProperties: true, description: 'The receipt, or the problem document.' },
      ),
    },
    { description: 'The verdict that a proposal would get now.' },
  ),
)

const commitFields = {
  version: Type.Integer({ minimum: 0 }),
  inCommitTimestamp,
  committedAt: Timestamp('When it was committed, by the clock of the database.'),
  operation: Type.String(),
  transactionId: Type.Optional(
    Type.String({ format: 'uuid', description: 'The transaction that it was part of.' }),
  ),
  ...commitCounts,
}

export const CommitSummary = define(
  'CommitSummary',
  Type.Object(
    { ...commitFields, commitInfo: Type.Optional(define('StoredCommitInfo', commitInfo)) },
    { description: 'A commit, without its actions.' },
  ),
)

export const CommitList = define(
  'CommitList',
  Type.Object({ items: Type.Array(CommitSummary), nextCursor: Type.Optional(Type.String()) }),
)

export const WatchQuery = strictObject({
  fromVersion: Type.Optional(
    Version('The first version to send. Without it and Last-Event-ID: the next that is committed.'),
  ),
})

export const WatchHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Version(
      'The last version that was received: those behind it are sent. Goes before fromVersion.',
    ),
  ),
})

/** A stream as a watcher sees it. */
export const exampleEvents = `retry: 1000

event: commit
id: 1
data: {"version":1,"inCommitTimestamp":1795167835804,"committedAt":"2026-11-20T08:30:35.804Z","operation":"WRITE","numAddedFiles":1,"numRemovedFiles":0,"numAddedBytes":1024,"numRemovedBytes":0,"commitInfo":{"inCommitTimestamp":1795167835804,"timestamp":1795167835804,"operation":"WRITE","isBlindAppend":true,"engineInfo":"Deltaworks"}}

event: dropped
data: {"tableId":"984fd80b-325d-484e-b9f9-5e5e38b92a24","droppedAt":"2026-11-20T09:00:00.000Z"}

`

export const Commit = define(
  'Commit',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      ...commitFields,
      actions: Type.Array(ActionSchema, {
        description: 'As in the log file; commitInfo first, but for some imported commits.',
      }),
      nextCursor: Type.Optional(Type.String({ description: 'There are more actions.' })),
    },
    { description: 'A commit with its actions.' },
  ),
)
