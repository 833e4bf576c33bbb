import Type, { type Static } from 'typebox'
import { define, strictObject } from '../http/schema.ts'
import { Fences } from '../locks/fence-schema.ts'
import { ExpectedVersion, exampleReceipt, Key, putFields } from './schema.ts'

const PutOperation = strictObject({ put: strictObject(putFields) })
const DeleteOperation = strictObject({
  delete: strictObject({ key: Key, expectedVersion: Type.Optional(ExpectedVersion) }),
})
const GetOperation = strictObject({ get: strictObject({ key: Key }) })

const exampleOperation = { put: { key: 'orders.offset', value: 1200, expectedVersion: 2 } }

export const OperationSchema = define(
  'StateOperation',
  Type.Union([PutOperation, GetOperation, DeleteOperation], {
    description: 'One of `put`, `get` and `delete`.',
    examples: [exampleOperation],
  }),
)
export type OperationBody = Static<typeof OperationSchema>

const WriteSchema = define(
  'StateWrite',
  Type.Union([PutOperation, DeleteOperation], {
    description: 'A `put` or a `delete`.',
    examples: [exampleOperation],
  }),
)

/** Operations of a request that only write. */
export const Writes = (description: string) =>
  Type.Array(WriteSchema, { minItems: 1, maxItems: 100_000, description })

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
      fences: Type.Optional(Fences),
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
      fences: Type.Optional(Fences),
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

/** What became of operations, one after the other. */
export const StateResults = Type.Array(Type.Object({}, { additionalProperties: true }), {
  description:
    'One for each operation, with the `status` that it would have had by itself: 200 or 201 with the entry, 404, 412, 428 with a `code`.',
})

export const BatchResult = define(
  'StateBatchResult',
  Type.Object(
    { revision: Type.Integer({ minimum: 0 }), results: StateResults },
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
      results: StateResults,
    },
    {
      description: 'What became of a transaction.',
      examples: [{ succeeded: true, revision: 18, results: [{ status: 201, ...exampleReceipt }] }],
    },
  ),
)
