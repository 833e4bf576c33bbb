import Type, { type Static } from 'typebox'
import { ActionSchema, commitCounts, proposalFields } from '../commits/schema.ts'
import { define, noNul, strictObject, Timestamp } from '../http/schema.ts'
import { Fences } from '../locks/fence-schema.ts'
import { StateResults, Writes } from '../state/operations-schema.ts'
import { NamespaceName } from '../state/schema.ts'
import { CreateTable, TableParams } from '../tables/schema.ts'
import { ReservedTable } from './reservations/schema.ts'
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

/** What is proposed to a table of a transaction; its actions, or more of them, may follow. */
export const StageTable = define(
  'StageTable',
  strictObject(
    {
      create: Type.Optional(CreateTable),
      drop: Type.Optional(Type.Boolean({ enum: [true], description: 'Alone.' })),
      undrop: Type.Optional(Type.Boolean({ enum: [true], description: 'Alone.' })),
      ...proposalFields,
      actions: Type.Optional(Type.Array(ActionSchema)),
    },
    {
      description:
        'A proposal as in a commit to the table alone, that takes effect when the transaction is committed. With `create` the table is made, under the name in the address, with the actions in its version 0; HELD_ACTIONS_MAX of them at most for all tables that a transaction makes. With `drop` or `undrop` it is dropped or brought back.',
      examples: [{ operation: 'WRITE', actions: [{ add: exampleAdd }] }],
    },
  ),
)
export type StageTable = Static<typeof StageTable>

/** Actions that are staged behind those that are there. */
export const StageActions = Type.Array(ActionSchema, {
  minItems: 1,
  description: 'Actions, as in the lines of a log file.',
  examples: [[{ add: { ...exampleAdd, path: 'day=2026-11-20/part-2.parquet' } }]],
})

const NamespaceOperations = Type.Array(
  strictObject({
    namespace: NamespaceName,
    operations: Writes('Done in this order, at one revision. A key is written once at most.'),
  }),
  {
    minItems: 1,
    maxItems: 100,
    description:
      'What is done to the state with the tables, each namespace once. Without `commit: true` it is staged, and done at the commit.',
  },
)

const exampleState = [
  {
    namespace: 'loader',
    operations: [{ put: { key: 'sales.orders', value: { offset: 1200 } } }],
  },
]

/** Operations on the state that a request stages. */
export const StageState = define(
  'StageState',
  strictObject(
    { state: NamespaceOperations },
    {
      description: 'Operations on the state, to be done when the transaction is committed.',
      examples: [{ state: exampleState }],
    },
  ),
)

const StagedNamespaces = Type.Array(
  Type.Object({ namespace: Type.String(), numOperations: Type.Integer({ minimum: 1 }) }),
  { description: 'How much is staged for the state, in the order of the namespaces.' },
)

export const StagedState = define(
  'StagedState',
  Type.Object(
    { stagedState: StagedNamespaces },
    {
      description: 'What the transaction has staged for the state.',
      examples: [{ stagedState: [{ namespace: 'loader', numOperations: 1 }] }],
    },
  ),
)

/** Fields of a request that begins a transaction. */
export const CreateTransaction = define(
  'CreateTransaction',
  strictObject(
    {
      commit: Type.Optional(
        Type.Boolean({
          description:
            'Commit at once: the request is the whole transaction. Without, it is begun, and more can be staged.',
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
            'Of what is read through the transaction. ReadCommitted: each read sees what is committed then. RepeatableRead: all reads of all tables see one view, fixed by the first. Serializable: besides, nothing that was read may have changed at the commit; proposals that give no isolationLevel are judged at Serializable.',
        }),
      ),
      priority: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 9,
          default: 5,
          description:
            'Of transactions that wait for each other’s reservations in a circle, the one of the lowest gives way.',
        }),
      ),
      label: Type.Optional(
        Type.String({ maxLength: 1000, ...noNul, description: 'Any text without NUL.' }),
      ),
      expiresInMs: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: Number.MAX_SAFE_INTEGER,
          description:
            'Time for which it may stay active, TRANSACTION_EXPIRES_MS_MAX at most and by default. Only without `commit: true`.',
        }),
      ),
      state: Type.Optional(NamespaceOperations),
      fences: Type.Optional(Fences),
    },
    {
      description:
        'Proposals to several tables that take effect together or not at all, at one inCommitTimestamp.',
      examples: [
        {
          commit: true,
          label: 'nightly load',
          tables: [{ table: 'sales.orders', operation: 'WRITE', actions: [{ add: exampleAdd }] }],
          state: exampleState,
        },
      ],
    },
  ),
)
export type CreateTransaction = Static<typeof CreateTransaction>

/** What may come with the commit of a transaction that was begun earlier. */
export const CommitStaged = define(
  'CommitStaged',
  strictObject(
    { fences: Type.Optional(Fences) },
    {
      description: 'Fences beside those that the transaction has.',
      examples: [{ fences: [] }],
    },
  ),
)
export type CommitStaged = Static<typeof CommitStaged>

export const TransactionParams = Type.Object({
  id: Type.String({
    format: 'uuid',
    description: 'Id of the transaction.',
    examples: ['7c9e6679-7425-40de-944b-e07fc1f90ae7'],
  }),
})

/** A table of a transaction. */
export const TransactionTableParams = Type.Object({
  ...TransactionParams.properties,
  tableId: TableParams.properties.id,
})

export const TransactionStateSchema = Type.Enum([...transactionStates], { type: 'string' })

const terms = {
  id: Type.String({ format: 'uuid' }),
  state: TransactionStateSchema,
  isolationLevel: Type.String(),
  priority: Type.Integer(),
  label: Type.Optional(Type.String()),
  createdAt: Timestamp('When it was begun, by the clock of the database.'),
  expiresAt: Type.Optional(Timestamp('Of one under way: when it ends by itself.')),
  committedAt: Type.Optional(Timestamp('When it was committed.')),
  endedAt: Type.Optional(Timestamp('When it was rolled back, or expired.')),
}

/** What a table has in a transaction that is not committed yet. */
const ofStaged = {
  tableId: Type.String({ format: 'uuid' }),
  numActions: Type.Optional(Type.Integer({ description: 'Of what is staged.' })),
  proposal: Type.Optional(
    Type.Object({}, { additionalProperties: true, description: 'What is staged besides actions.' }),
  ),
  readVersion: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: 'The version that was read, of one under way through it.',
    }),
  ),
}

export const StagedTable = define(
  'StagedTable',
  Type.Object(
    { ...ofStaged, status: Type.Enum(['staged', 'read', 'unstaged'], { type: 'string' }) },
    { description: 'A table of a transaction that is under way.' },
  ),
)

const TransactionReceipt = define(
  'TransactionReceipt',
  Type.Object(
    {
      ...ofStaged,
      version: Type.Optional(Type.Integer({ minimum: 0 })),
      inCommitTimestamp: Type.Optional(
        Type.Integer({
          description: 'Epoch milliseconds; the same for all that is committed or created.',
        }),
      ),
      status: Type.Enum(
        ['staged', 'read', 'committed', 'duplicate', 'created', 'dropped', 'undropped'],
        { type: 'string' },
      ),
      rebasedOver: Type.Optional(
        Type.Array(Type.Integer(), {
          description: 'Versions that came between read and commit.',
        }),
      ),
      ...Type.Partial(Type.Object(commitCounts)).properties,
    },
    {
      description:
        'What became of a table, or what is staged for it. Of one that is dropped or brought back, the newest version.',
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
          description:
            'What became of each table, or is staged for it, in the order in which they were named.',
        }),
      ),
      stateResults: Type.Optional(
        Type.Array(
          Type.Object({
            namespace: Type.String(),
            revision: Type.Integer({ minimum: 0 }),
            results: StateResults,
          }),
          { description: 'What became of the state, in the order in which it was named.' },
        ),
      ),
      stagedState: Type.Optional(StagedNamespaces),
      reservations: Type.Optional(
        Type.Array(ReservedTable, { description: 'Of one under way: the tables it has reserved.' }),
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

const violationFields = {
  tableId: Type.Optional(Type.String()),
  expected: Type.Optional(Type.Integer()),
  actual: Type.Optional(Type.Integer()),
  path: Type.Optional(Type.String()),
  count: Type.Optional(Type.Integer()),
  max: Type.Optional(Type.Integer()),
  actionCount: Type.Optional(Type.Integer()),
  maxActions: Type.Optional(Type.Integer()),
  createdAt: Type.Optional(Timestamp('When the transaction was begun.')),
  maxAgeSeconds: Type.Optional(Type.Number()),
}

export const TransactionValidation = define(
  'TransactionValidation',
  Type.Object(
    {
      valid: Type.Boolean(),
      violations: Type.Array(
        Type.Object({
          type: Type.Enum(
            [
              'TableNotFound',
              'VersionMismatch',
              'EmptyActionList',
              'DuplicateFile',
              'TooManyTables',
              'TransactionTooLarge',
              'TableTransactionTooLarge',
              'TransactionTooOld',
            ],
            { type: 'string' },
          ),
          namespace: Type.Optional(Type.String()),
          key: Type.Optional(Type.String()),
          ...violationFields,
        }),
        { description: 'All that stands against the commit of the transaction.' },
      ),
    },
    { description: 'Whether a transaction could be committed, but for conflicts with others.' },
  ),
)
