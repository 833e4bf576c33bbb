import Type, { type Static } from 'typebox'
import {
  define,
  IdempotencyHeaders,
  noNul,
  PageQuery,
  strictObject,
  Timestamp,
  Version,
} from '../http/schema.ts'
import { Fences, FencesText } from '../locks/fence-schema.ts'

/** The longest name of a namespace or key, in characters. */
export const nameLengthMax = 512

export const NamespaceName = Type.String({
  minLength: 1,
  maxLength: nameLengthMax,
  ...noNul,
  not: { const: 'transactions' },
  description:
    'Name of the namespace: any text without NUL but "transactions", at whose address these are. It is made on the first write.',
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

/** As for other lists, but that a cursor has a whole key or name. */
export const KeyPageQuery = {
  limit: PageQuery.limit,
  cursor: Type.Optional(
    Type.String({ minLength: 1, maxLength: 5000, description: '`nextCursor` of the page before.' }),
  ),
}

const ttlMax = 100 * 365 * 86_400_000

const TtlMs = Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: ttlMax,
  description:
    'Milliseconds after which the entry is gone; null for never. Without it the namespace decides.',
})

export const ExpectedVersion = Version(
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
      fences: Type.Optional(Fences),
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
  fences: Type.Optional(FencesText),
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
  'stale-fence',
  'version-mismatch',
  'precondition-required',
] as const

export const exampleReceipt = {
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
