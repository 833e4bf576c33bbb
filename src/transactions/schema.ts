import Type, { type Static } from 'typebox'
import { ActionSchema, commitCounts, proposalFields } from '../commits/schema.ts'
import { define, noNul, strictObject, Timestamp } from '../http/schema.ts'
import { CreateTable, TableParams } from '../tables/schema.ts'
import { transactionStates } from './states.ts'

const exampleAdd = {
  path: 'day=2026-11-20/part-1.parquet',
  partitionValues: { day: '2026-11-20' },
  size: 1024,
  modificationTime: 1_795_000_000_000,
  dataChange: true,
}

export const TransactionTable = define(
  'TransactionTable',
  strictObject(
    {
      table: Type.Optional(TableParams.properties.id),
      create: Type.Optional(CreateTable),
      drop: Type.Optional(TableParams.properties.id),
      undrop: Type.Optional(TableParams.properties.id),
      ...proposalFields,
      actions: Type.Optional(Type.Array(ActionSchema)),
    },
    {
      description:
        'One of four. `table`: an id or a name, with what is proposed to it as in a commit to it alone. `create`: a table to be made, with `actions` that stand in its version 0 behind protocol and metaData, if there are any, and what commitInfo tells. `drop` or `undrop`: an id or a name, alone.',
    },
  ),
)
export type TransactionTable = Static<typeof TransactionTable>

const notOfferedYet = { description: 'Not offered yet.' }

/** Fields of a request that begins a transaction. */
export const CreateTransaction = define(
  'CreateTransaction',
  strictObject(
    {
      commit: Type.Optional(
        Type.Boolean({
          description:
            'Commit at once: the request is the whole transaction. Without it is not offered yet.',
        }),
      ),
      tables: Type.Optional(
        Type.Array(TransactionTable, {
          minItems: 1,
          description: 'Each table once. TRANSACTION_TABLES_MAX at most.',
        }),
      ),
      isolationLevel: Type.Optional(
        Type.Enum(['ReadCommitted', 'RepeatableRead', 'Serializable'], {
          type: 'string',
          default: 'RepeatableRead',
          description:
            'Of what is read through the transaction. With Serializable, proposals that give no isolationLevel are judged at Serializable.',
        }),
      ),
      priority: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 9,
          default: 5,
          description: 'Kept with the transaction.',
        }),
      ),
      label: Type.Optional(
        Type.String({ maxLength: 1000, ...noNul, description: 'Any text without NUL.' }),
      ),
      expiresInMs: Type.Optional(Type.Integer({ minimum: 1, ...notOfferedYet })),
      state: Type.Optional(Type.Array(Type.Object({}), notOfferedYet)),
      fences: Type.Optional(Type.Array(Type.Object({}), notOfferedYet)),
    },
    {
      description:
        'Proposals to several tables that take effect together or not at all, at one inCommitTimestamp.',
      examples: [
        {
          commit: true,
          label: 'nightly load',
          tables: [{ table: 'sales.orders', operation: 'WRITE', actions: [{ add: exampleAdd }] }],
        },
      ],
    },
  ),
)
export type CreateTransaction = Static<typeof CreateTransaction>

export const TransactionParams = Type.Object({
  id: Type.String({
    format: 'uuid',
    description: 'Id of the transaction.',
    examples: ['7c9e6679-7425-40de-944b-e07fc1f90ae7'],
  }),
})

export const TransactionStateSchema = Type.Enum([...transactionStates], { type: 'string' })

const terms = {
  id: Type.String({ format: 'uuid' }),
  state: TransactionStateSchema,
  isolationLevel: Type.String(),
  priority: Type.Integer(),
  label: Type.Optional(Type.String()),
  createdAt: Timestamp('When it was begun, by the clock of the database.'),
  committedAt: Type.Optional(Timestamp('When it was committed.')),
}

const TransactionReceipt = define(
  'TransactionReceipt',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      version: Type.Integer({ minimum: 0 }),
      inCommitTimestamp: Type.Integer({
        description: 'Epoch milliseconds; the same for all that is committed or created.',
      }),
      status: Type.Enum(['committed', 'duplicate', 'created', 'dropped', 'undropped'], {
        type: 'string',
      }),
      readVersion: Type.Optional(Type.Integer({ minimum: 0 })),
      rebasedOver: Type.Optional(
        Type.Array(Type.Integer(), {
          description: 'Versions that came between read and commit.',
        }),
      ),
      ...Type.Partial(Type.Object(commitCounts)).properties,
    },
    {
      description:
        'What became of a table. Of one that is dropped or brought back, the newest version.',
    },
  ),
)

export const Transaction = define(
  'Transaction',
  Type.Object(
    {
      ...terms,
      tables: Type.Optional(
        Type.Array(TransactionReceipt, {
          description: 'What became of each table, in the order in which they were named.',
        }),
      ),
    },
    { description: 'A transaction over several tables.' },
  ),
)

export const TransactionList = define(
  'TransactionList',
  Type.Object({
    items: Type.Array(
      define(
        'TransactionSummary',
        Type.Object(
          { ...terms, numTables: Type.Integer({ minimum: 0 }) },
          { description: 'A transaction, without its tables.' },
        ),
      ),
    ),
    nextCursor: Type.Optional(Type.String()),
  }),
)
