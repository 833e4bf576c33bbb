/**
 * The actions of a Delta log, as shapes.
 *
 * Each shape says what an action must look like to be read at all (PROTOCOL.md, "Actions"); whether it
 * may stand in a given commit is decided in `validation.ts`. Fields that a shape does not know are kept.
 */
import Type, { type Static, type TSchema } from 'typebox'
import type { ViolationCode } from './violations.ts'

const nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

const long = (description: string) => Type.Integer({ description })

const partitionValues = Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]), {
  description: 'Partition column to serialized value; null or "" is the null value.',
})

const tags = Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()]))

export const DeletionVector = Type.Object(
  {
    storageType: Type.Enum(['u', 'i', 'p'], { type: 'string' }),
    pathOrInlineDv: Type.String(),
    offset: nullable(long('Offset of the vector in its file; absent when inline.')),
    sizeInBytes: long('Size of the serialized vector in bytes.'),
    cardinality: long('Number of rows that the vector removes.'),
  },
  { description: 'PROTOCOL.md, "Deletion Vectors".' },
)

export const AddFile = Type.Object(
  {
    path: Type.String({ description: 'URI-encoded path, relative to the table or absolute.' }),
    partitionValues,
    size: long('Size of the file in bytes.'),
    modificationTime: long('Epoch milliseconds.'),
    dataChange: Type.Boolean(),
    stats: nullable(Type.String({ description: 'Statistics as JSON text.' })),
    tags: nullable(tags),
    deletionVector: nullable(DeletionVector),
    baseRowId: nullable(
      long('First row id of the file; assigned by the service where the table tracks rows.'),
    ),
    defaultRowCommitVersion: nullable(
      long('Commit version of rows that have none of their own; assigned along with `baseRowId`.'),
    ),
    clusteringProvider: nullable(Type.String()),
  },
  { description: 'PROTOCOL.md, "Add File and Remove File".' },
)

export const RemoveFile = Type.Object(
  {
    path: Type.String({ description: 'URI-encoded path, relative to the table or absolute.' }),
    deletionTimestamp: nullable(long('Epoch milliseconds.')),
    dataChange: Type.Boolean(),
    extendedFileMetadata: nullable(Type.Boolean()),
    partitionValues: Type.Optional(Type.Union([partitionValues, Type.Null()])),
    size: nullable(long('Size of the file in bytes.')),
    stats: nullable(Type.String()),
    tags: nullable(tags),
    deletionVector: nullable(DeletionVector),
    baseRowId: nullable(long('First row id of the file.')),
    defaultRowCommitVersion: nullable(long('Commit version of rows that have none of their own.')),
  },
  { description: 'PROTOCOL.md, "Add File and Remove File".' },
)

export const AddCdcFile = Type.Object(
  {
    path: Type.String(),
    partitionValues,
    size: long('Size of the file in bytes.'),
    dataChange: Type.Boolean(),
    tags: nullable(tags),
  },
  { description: 'PROTOCOL.md, "Add CDC File".' },
)

export const Metadata = Type.Object(
  {
    id: Type.String(),
    name: nullable(Type.String()),
    description: nullable(Type.String()),
    format: Type.Object({
      provider: Type.String(),
      options: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
    schemaString: Type.String({ description: 'The schema, as JSON text.' }),
    partitionColumns: Type.Array(Type.String()),
    createdTime: nullable(long('Epoch milliseconds.')),
    configuration: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { description: 'PROTOCOL.md, "Change Metadata".' },
)

export const Protocol = Type.Object(
  {
    minReaderVersion: Type.Integer(),
    minWriterVersion: Type.Integer(),
    readerFeatures: nullable(Type.Array(Type.String())),
    writerFeatures: nullable(Type.Array(Type.String())),
  },
  { description: 'PROTOCOL.md, "Protocol Evolution".' },
)

export const AppTransaction = Type.Object(
  {
    appId: Type.String(),
    version: long('Version that the application gives this write.'),
    lastUpdated: nullable(long('Epoch milliseconds.')),
  },
  { description: 'PROTOCOL.md, "Transaction Identifiers".' },
)

export const DomainMetadata = Type.Object(
  { domain: Type.String(), configuration: Type.String(), removed: Type.Boolean() },
  { description: 'PROTOCOL.md, "Domain Metadata".' },
)

export type DeletionVector = Static<typeof DeletionVector>
export type AddFile = Static<typeof AddFile>
export type RemoveFile = Static<typeof RemoveFile>
export type AddCdcFile = Static<typeof AddCdcFile>
export type Metadata = Static<typeof Metadata>
export type Protocol = Static<typeof Protocol>
export type AppTransaction = Static<typeof AppTransaction>
export type DomainMetadata = Static<typeof DomainMetadata>

/** The shape of each kind of action that this service gives a meaning to. */
export const actionShapes = {
  add: AddFile,
  remove: RemoveFile,
  cdc: AddCdcFile,
  metaData: Metadata,
  protocol: Protocol,
  txn: AppTransaction,
  domainMetadata: DomainMetadata,
  commitInfo: Type.Object(
    {},
    { additionalProperties: true, description: 'PROTOCOL.md, "Commit Provenance Information".' },
  ),
} as const

/** The kinds of action that this service gives a meaning to, and what each holds. */
export interface ActionBodies {
  add: AddFile
  remove: RemoveFile
  cdc: AddCdcFile
  metaData: Metadata
  protocol: Protocol
  txn: AppTransaction
  domainMetadata: DomainMetadata
  commitInfo: Record<string, unknown>
}

/**
 * One action of a proposal. `json` is its log line, `{"add":{…}}`, token for token as it was received
 * and without white space between tokens; it is what is stored and published. `body` is the same, parsed;
 * integers beyond 2^53 in it are rounded, so exact longs are read with `exactBody`.
 */
export interface ActionOf<K extends keyof ActionBodies> {
  kind: K
  body: ActionBodies[K]
  json: string
}

/** An action that the service gives no meaning to; it is kept and published as it came. */
export interface OtherAction {
  kind: 'other'
  name: string
  body: unknown
  json: string
}

export type Action = { [K in keyof ActionBodies]: ActionOf<K> }[keyof ActionBodies] | OtherAction

/** A Delta long: a number when it is exact as one, else a bigint. */
export type Long = number | bigint

/** The body of an action with every number exact. */
export type Exact<T> = T extends number
  ? Long
  : T extends object
    ? { [K in keyof T]: Exact<T[K]> }
    : T

/**
 * What is wrong with one action of a commit; `index` is its place in the proposal's `actions`, or the place
 * behind the last where an action is missing.
 */
export interface Violation {
  code: ViolationCode
  index: number
  path?: string
  message: string
}
