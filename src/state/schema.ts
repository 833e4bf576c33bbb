import Type, { type Static } from 'typebox'
import {
  define,
  IdempotencyHeaders,
  noNul,
  strictObject,
  Timestamp,
  Version,
} from '../http/schema.ts'

/** The longest name of a namespace or key, in characters. */
export const nameLengthMax = 512

export const NamespaceName = Type.String({
  minLength: 1,
  maxLength: nameLengthMax,
  ...noNul,
  description: 'Name of the namespace: any text without NUL. It is made on the first write.',
  examples: ['consumers'],
})

export const Key = Type.String({
  minLength: 1,
  maxLength: nameLengthMax,
  ...noNul,
  description: 'Key of the entry: any text without NUL; in an address a "/" is written %2F.',
  examples: ['orders.offset'],
})

export const NamespaceParams = Type.Object({ namespace: NamespaceName })
export const EntryParams = Type.Object({ namespace: NamespaceName, key: Key })

const ttlMax = 100 * 365 * 86_400_000

const TtlMs = Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: ttlMax,
  description:
    'Milliseconds after which the entry is gone; null for never. Without it the namespace decides.',
})

const ExpectedVersion = Version(
  'The version that the entry must have; 0 where there must be none. Else 412 `version-mismatch`.',
)

const Metadata = Type.Object(
  {},
  {
    additionalProperties: true,
    description: 'What entries are found by. Kept as PostgreSQL keeps jsonb.',
  },
)

export const MetadataText = Type.String({
  minLength: 2,
  maxLength: 100_000,
  description: 'The metadata as JSON.',
})

export const JsonValue = Type.Unknown({ description: 'Any JSON, kept token for token.' })

const ValueBase64 = Type.String({ description: 'Bytes in base64, instead of `value`.' })
const ContentType = Type.String({
  minLength: 3,
  maxLength: 255,
  pattern: '^[\\x21-\\x7e][\\x20-\\x7e]*$',
  description: 'Of the bytes; application/octet-stream where nothing is said.',
})

/** An entry as a request writes it under a key of its address. */
export const PutEntry = define(
  'PutEntry',
  strictObject(
    {
      value: JsonValue,
      metadata: Type.Optional(Metadata),
      ttlMs: Type.Optional(TtlMs),
      expectedVersion: Type.Optional(ExpectedVersion),
    },
    {
      description: 'What is to stand under the key.',
      examples: [{ value: { partition: 3, offset: 1200 }, metadata: { topic: 'orders' } }],
    },
  ),
)
export type PutEntry = Static<typeof PutEntry>

export const WriteHeaders = Type.Object({
  ...IdempotencyHeaders.properties,
  'if-match': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description: '`*`, or the ETags of the versions that the entry may have. Else 412.',
    }),
  ),
  'if-none-match': Type.Optional(
    Type.String({ pattern: '^\\*$', description: '`*`: the entry must not exist. Else 412.' }),
  ),
})
export type WriteHeaders = Static<typeof WriteHeaders>

export const ReadHeaders = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1000,
      description: 'ETags that the caller has already; an entry with one of these gets 304.',
    }),
  ),
})

export const PutQuery = strictObject({
  ttlMs: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: ttlMax,
      description: 'As in a JSON body; only where the body is the value itself.',
    }),
  ),
  metadata: Type.Optional(MetadataText),
  expectedVersion: Type.Optional(ExpectedVersion),
})
export type PutQuery = Static<typeof PutQuery>

/** The header that tells the version of an entry. */
export const etagHeader = { ETag: Type.String({ description: 'The version, in quotes.' }) }

/** A value that is bytes, as a body. */
export const RawValue = Type.Unknown({
  description: 'The value itself, of whatever type the header says.',
  examples: ['any bytes'],
})

/** The refusals of every write to the state. */
export const ofWriting = [
  'invalid-idempotency-key',
  'idempotency-in-progress',
  'idempotency-key-reused',
  'version-mismatch',
  'precondition-required',
] as const

const exampleReceipt = {
  namespace: 'consumers',
  key: 'orders.offset',
  version: 3,
  revision: 17,
  createdAt: '2026-11-20T08:30:00.000Z',
  updatedAt: '2026-11-20T09:00:00.000Z',
}

const receiptMembers = {
  namespace: Type.String(),
  key: Type.String(),
  version: Type.Integer({
    minimum: 1,
    description: 'Rises by one with each write of the key, deletions included.',
  }),
  revision: Type.Integer({
    minimum: 0,
    description: 'Orders all writes of the namespace; what is written together shares one.',
  }),
  createdAt: Timestamp('When it was made.'),
  updatedAt: Timestamp('When it was last written.'),
  expiresAt: Type.Optional(Timestamp('From when on it is gone.')),
}

export const EntryReceipt = define(
  'EntryReceipt',
  Type.Object(receiptMembers, { description: 'What was written.', examples: [exampleReceipt] }),
)

const valueMembers = {
  value: Type.Optional(JsonValue),
  valueBase64: Type.Optional(Type.String({ description: 'The value where it is not JSON.' })),
  contentType: Type.Optional(Type.String({ description: 'Of `valueBase64`.' })),
  metadata: Type.Optional(Metadata),
}

const exampleEntry = { ...exampleReceipt, value: { partition: 3, offset: 1200 } }

export const Entry = define(
  'Entry',
  Type.Object(
    { ...receiptMembers, ...valueMembers },
    { description: 'An entry with its value.', examples: [exampleEntry] },
  ),
)

export const EntryList = define(
  'EntryList',
  Type.Object(
    {
      items: Type.Array(Entry, { description: 'By key; with `keysOnly` without their values.' }),
      nextCursor: Type.Optional(Type.String()),
    },
    { examples: [{ items: [exampleEntry] }] },
  ),
)

export const EntryDeletion = define(
  'EntryDeletion',
  Type.Object(
    {
      namespace: Type.String(),
      key: Type.String(),
      version: Type.Integer({ minimum: 1, description: 'That of the deletion.' }),
      revision: Type.Integer({ minimum: 1 }),
    },
    {
      description: 'What was deleted.',
      examples: [{ namespace: 'consumers', key: 'orders.offset', version: 4, revision: 18 }],
    },
  ),
)

/** An entry as a request writes it, with its key. */
export const putFields = {
  key: Key,
  value: Type.Optional(JsonValue),
  valueBase64: Type.Optional(ValueBase64),
  contentType: Type.Optional(ContentType),
  metadata: Type.Optional(Metadata),
  ttlMs: Type.Optional(TtlMs),
  expectedVersion: Type.Optional(ExpectedVersion),
}

const OperationSchema = define(
  'StateOperation',
  Type.Union(
    [
      strictObject({
        put: strictObject(putFields),
      }),
      strictObject({ get: strictObject({ key: Key }) }),
      strictObject({
        delete: strictObject({ key: Key, expectedVersion: Type.Optional(ExpectedVersion) }),
      }),
    ],
    {
      description: 'One of `put`, `get` and `delete`.',
      examples: [{ put: { key: 'orders.offset', value: 1200, expectedVersion: 2 } }],
    },
  ),
)
export type OperationBody = Static<typeof OperationSchema>

/** Operations of a request, in the order in which they are done. */
export const Operations = (description: string, minItems = 1) =>
  Type.Array(OperationSchema, { minItems, maxItems: 100_000, description })

export const Batch = define(
  'StateBatch',
  strictObject(
    {
      atomic: Type.Optional(
        Type.Boolean({
          default: true,
          description:
            'Whether a refused operation refuses them all. Without it each has its own result.',
        }),
      ),
      operations: Operations('Done in this order, at one revision. A key is written once at most.'),
    },
    {
      description: 'Operations to be done together.',
      examples: [
        {
          operations: [
            { put: { key: 'orders.offset', value: 1200 } },
            { delete: { key: 'orders.lock' } },
            { get: { key: 'orders.schema' } },
          ],
        },
      ],
    },
  ),
)
export type Batch = Static<typeof Batch>

const ComparisonSchema = define(
  'StateComparison',
  strictObject(
    {
      key: Key,
      target: Type.Enum(['version', 'value', 'exists', 'metadata'], { type: 'string' }),
      op: Type.Enum(['equal', 'notEqual', 'greater', 'less'], { type: 'string' }),
      value: Type.Optional(
        Type.Unknown({
          description:
            'What it is compared with: an integer for `version`, true or false for `exists` (true where nothing is said), else any JSON. Numbers and texts have an order; anything else is equal or not.',
        }),
      ),
      valueBase64: Type.Optional(
        Type.String({ description: 'For a `value` that is bytes; these have an order.' }),
      ),
      path: Type.Optional(
        Type.Array(Type.String(), {
          maxItems: 100,
          description: 'Members that lead to what is compared of the metadata.',
        }),
      ),
    },
    {
      description:
        'What must be true of an entry. One that does not exist has version 0; of its value and metadata only `notEqual` holds.',
      examples: [{ key: 'orders.offset', target: 'version', op: 'equal', value: 2 }],
    },
  ),
)
export type ComparisonBody = Static<typeof ComparisonSchema>

export const Txn = define(
  'StateTxn',
  strictObject(
    {
      compare: Type.Array(ComparisonSchema, { maxItems: 100_000 }),
      // biome-ignore lint/suspicious/noThenProperty: the contract names it so
      then: Type.Optional(Operations('Done where all comparisons hold.', 0)),
      else: Type.Optional(Operations('Done where one does not.', 0)),
    },
    {
      description: 'Comparisons, and what is done depending on them, at one moment.',
      examples: [
        {
          compare: [{ key: 'orders.leader', target: 'exists', op: 'equal', value: false }],
          // biome-ignore lint/suspicious/noThenProperty: the contract names it so
          then: [{ put: { key: 'orders.leader', value: 'worker-7' } }],
          else: [{ get: { key: 'orders.leader' } }],
        },
      ],
    },
  ),
)
export type Txn = Static<typeof Txn>

const Results = Type.Array(Type.Object({}, { additionalProperties: true }), {
  description:
    'One for each operation, with the `status` that it would have had by itself: 200 or 201 with the entry, 404, 412, 428 with a `code`.',
})

export const BatchResult = define(
  'StateBatchResult',
  Type.Object(
    { revision: Type.Integer({ minimum: 0 }), results: Results },
    {
      description: 'What became of each operation.',
      examples: [{ revision: 18, results: [{ status: 200, ...exampleReceipt }] }],
    },
  ),
)

export const TxnResult = define(
  'StateTxnResult',
  Type.Object(
    {
      succeeded: Type.Boolean({ description: 'Whether all comparisons held.' }),
      revision: Type.Integer({ minimum: 0 }),
      results: Results,
    },
    {
      description: 'What became of a transaction.',
      examples: [{ succeeded: true, revision: 18, results: [{ status: 201, ...exampleReceipt }] }],
    },
  ),
)
