import Type, { type Static } from 'typebox'
import { define, noNul, strictObject, Timestamp } from '../../http/schema.ts'
import { OperationSchema, StateResults } from '../operations-schema.ts'
import { Key, NamespaceName, nameLengthMax } from '../schema.ts'

/** The longest name of a savepoint, in characters. */
const savepointLengthMax = 128

const IsolationLevel = Type.Enum(['ReadCommitted', 'RepeatableRead', 'Serializable'], {
  type: 'string',
  default: 'RepeatableRead',
  description:
    'ReadCommitted: each read sees what is committed then, and nothing is judged at the commit but the versions that operations expect. RepeatableRead: all reads see what was committed at the first, and no entry that is written may have been written by others since. Serializable: besides, nothing that was read may have changed, lists included.',
})

export const BeginStateTransaction = define(
  'BeginStateTransaction',
  strictObject(
    {
      isolationLevel: Type.Optional(IsolationLevel),
      idleTimeoutMs: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 2 ** 31 - 1,
          description:
            'Time without a request after which it is rolled back, STATE_TRANSACTION_IDLE_MS_MAX at most and by default.',
        }),
      ),
      label: Type.Optional(
        Type.String({ maxLength: 1000, ...noNul, description: 'Any text without NUL.' }),
      ),
    },
    {
      description: 'How the transaction reads, and for how long it may be left alone.',
      examples: [{ isolationLevel: 'Serializable', idleTimeoutMs: 10_000 }],
    },
  ),
)
export type BeginStateTransaction = Static<typeof BeginStateTransaction>

export const StateTransactionParams = Type.Object({
  txId: Type.String({
    format: 'uuid',
    description: 'Id of the transaction.',
    examples: ['9a1f7a52-6b2f-4f3c-8f0e-1d2c3b4a5968'],
  }),
})

const SavepointName = Type.String({
  minLength: 1,
  maxLength: savepointLengthMax,
  ...noNul,
  description: 'Name of a savepoint: any text without NUL.',
  examples: ['before-cleanup'],
})

export const SavepointParams = Type.Object({
  ...StateTransactionParams.properties,
  name: SavepointName,
})

export const SetSavepoint = define(
  'SetSavepoint',
  strictObject(
    { name: SavepointName },
    {
      description: 'One of a name that is there hides that until it is released.',
      examples: [{ name: 'before-cleanup' }],
    },
  ),
)

const RangeEnd = Type.Optional(Type.String({ maxLength: nameLengthMax, ...noNul }))

const ListOperation = strictObject({
  list: strictObject({
    prefix: RangeEnd,
    start: RangeEnd,
    end: RangeEnd,
    after: Type.Optional({ ...Key, description: '`next` of the page before.' }),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: 'Entries at most.' }),
    ),
  }),
})
export type ListBody = Static<typeof ListOperation>

const TransactionOperation = define(
  'StateTransactionOperation',
  Type.Union([OperationSchema, ListOperation], {
    description: 'One of `put`, `get`, `delete`, and `list`, which reads entries by key.',
    examples: [{ put: { key: 'orders.offset', value: 1200 } }],
  }),
)

export const TransactionOperations = define(
  'StateTransactionOperations',
  strictObject(
    {
      namespace: NamespaceName,
      operations: Type.Array(TransactionOperation, {
        minItems: 1,
        maxItems: 100_000,
        description: 'Done in this order, all of them or, where one is refused, none.',
      }),
    },
    {
      description:
        'Operations on one namespace. A transaction may speak of several, one after the other.',
      examples: [
        {
          namespace: 'consumers',
          operations: [
            { get: { key: 'orders.offset' } },
            { put: { key: 'orders.offset', value: 1200 } },
            { list: { prefix: 'orders.' } },
          ],
        },
      ],
    },
  ),
)
export type TransactionOperations = Static<typeof TransactionOperations>

export const TransactionResults = define(
  'StateTransactionResults',
  Type.Object(
    { results: StateResults },
    {
      description:
        'What became of each operation. What the transaction has written itself is `staged`, with the version that it will have. A list has `items`, and `next` where more follow.',
      examples: [
        {
          results: [
            { status: 404, code: 'entry-not-found', namespace: 'consumers', key: 'orders.offset' },
            {
              status: 201,
              namespace: 'consumers',
              key: 'orders.offset',
              version: 1,
              staged: true,
            },
          ],
        },
      ],
    },
  ),
)

export const StateTransaction = define(
  'StateTransaction',
  Type.Object(
    {
      txId: Type.String({ format: 'uuid' }),
      state: Type.Enum(['active', 'committed', 'rolled-back', 'expired'], { type: 'string' }),
      isolationLevel: Type.String(),
      label: Type.Optional(Type.String()),
      idleTimeoutMs: Type.Integer({ minimum: 1 }),
      server: Type.String({ description: 'The server that has it, and that goes on with it.' }),
      createdAt: Timestamp('When it was begun, by the clock of the database.'),
      expiresAt: Type.Optional(
        Timestamp('Of an active one: when it ends at the latest, however busy it is.'),
      ),
      committedAt: Type.Optional(Timestamp('When it was committed.')),
      endedAt: Type.Optional(Timestamp('When it was rolled back, or expired.')),
      numWrites: Type.Optional(
        Type.Integer({
          minimum: 0,
          description: 'Of an active one: writes in memory, also those that savepoints bring back.',
        }),
      ),
      savepoints: Type.Optional(Type.Array(Type.String(), { description: 'Oldest first.' })),
      stateResults: Type.Optional(
        Type.Array(
          Type.Object({
            namespace: Type.String(),
            revision: Type.Integer({ minimum: 0 }),
            results: StateResults,
          }),
          {
            description:
              'Of a committed one: what became of its writes, each key once. Of a namespace that was only read there are none.',
          },
        ),
      ),
    },
    {
      description: 'An interactive transaction on the state.',
      examples: [
        {
          txId: '9a1f7a52-6b2f-4f3c-8f0e-1d2c3b4a5968',
          state: 'active',
          isolationLevel: 'Serializable',
          idleTimeoutMs: 10_000,
          server: 'http://127.0.0.1:8080',
          createdAt: '2026-11-20T08:30:00.000Z',
          expiresAt: '2026-11-20T08:35:00.000Z',
          numWrites: 0,
          savepoints: [],
        },
      ],
    },
  ),
)
