import Type, { type Static } from 'typebox'
import { ActionSchema, CommitReceipt, proposalFields } from '../commits/schema.ts'
import { define, noNul, strictObject, Timestamp } from '../http/schema.ts'
import { TableParams } from '../tables/schema.ts'
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
    { table: TableParams.properties.id, ...proposalFields, actions: Type.Array(ActionSchema) },
    { description: 'A table, and what is proposed to it, as in a commit to it alone.' },
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

export const Transaction = define(
  'Transaction',
  Type.Object(
    {
      ...terms,
      tables: Type.Optional(
        Type.Array(CommitReceipt, {
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
