import Type, { type Static } from 'typebox'
import { define, Long, noNul, strictObject, Timestamp, Version } from '../http/schema.ts'
import { attemptOutcomes, runStatuses } from './rules.ts'

/** An id that is an appId and stands in addresses. */
const RunId = Type.String({
  minLength: 1,
  maxLength: 250,
  pattern: '^[A-Za-z0-9_][A-Za-z0-9._:+@=~-]*$',
  description:
    'Id of the run, and the `appId` of its commits. Letters, digits and "._:+@=~-", the first a letter, a digit or "_".',
  examples: ['nightly-load-2026-11-20'],
})

export const RunParams = Type.Object({ runId: RunId })

/** Short enough for the index that finds it. */
export const RunLabel = Type.String({
  minLength: 1,
  maxLength: 255,
  ...noNul,
  description: 'What runs are found by, such as the name of the pipeline. Any text without NUL.',
})

const Metadata = (description: string) =>
  Type.Object({}, { additionalProperties: true, description })

/** Fields of a request that begins or resumes a run. */
export const CreateRun = define(
  'CreateRun',
  strictObject(
    {
      runId: Type.Optional(RunId),
      label: Type.Optional(RunLabel),
      metadata: Type.Optional(Metadata('Anything else about the run, kept token for token.')),
      commitSequence: Type.Optional(
        Version('The first number of a new run; 0 where nothing is said.'),
      ),
    },
    {
      description:
        'A run to be made, or resumed where there is one of this `runId`. What else is said is of a new run alone.',
      examples: [
        {
          runId: 'nightly-load-2026-11-20',
          label: 'nightly load',
          metadata: { source: 'orders-2026-11-20.csv' },
        },
      ],
    },
  ),
)
export type CreateRun = Static<typeof CreateRun>

export const SetSequence = define(
  'SetSequence',
  strictObject(
    { commitSequence: Version('The number that is given out next.') },
    { description: 'Where a run goes on.', examples: [{ commitSequence: 12 }] },
  ),
)

export const FinishRun = define(
  'FinishRun',
  strictObject(
    {
      status: Type.Enum(['succeeded', 'failed'], { type: 'string' }),
      metadata: Type.Optional(
        Metadata('Members to be set in the metadata of the run; the others stay.'),
      ),
    },
    {
      description: 'How a run ended.',
      examples: [{ status: 'succeeded', metadata: { rows: 1200 } }],
    },
  ),
)
export type FinishRun = Static<typeof FinishRun>

export const RunStatusSchema = Type.Enum([...runStatuses], { type: 'string' })

const exampleRun = {
  runId: 'nightly-load-2026-11-20',
  label: 'nightly load',
  commitSequence: 12,
  status: 'running',
  createdAt: '2026-11-20T01:00:00.000Z',
  metadata: { source: 'orders-2026-11-20.csv' },
}

export const Run = define(
  'Run',
  Type.Object(
    {
      runId: Type.String(),
      label: Type.Optional(Type.String()),
      commitSequence: Long('The number that is given out next.', { minimum: 0 }),
      status: RunStatusSchema,
      createdAt: Timestamp('When it was made, by the clock of the database.'),
      finishedAt: Type.Optional(Timestamp('When it was finished.')),
      metadata: Type.Optional(Type.Object({}, { additionalProperties: true })),
    },
    {
      description: 'A pipeline at work, which commits under numbers that are given out one by one.',
      examples: [exampleRun],
    },
  ),
)

export const RunList = define(
  'RunList',
  Type.Object(
    { items: Type.Array(Run), nextCursor: Type.Optional(Type.String()) },
    { examples: [{ items: [exampleRun] }] },
  ),
)

export const NextCommit = define(
  'NextCommit',
  Type.Object(
    {
      idempotency: Type.Object(
        { appId: Type.String(), version: Long('The number.', { minimum: 0 }) },
        { description: 'The `idempotency` of each proposal that is committed under the number.' },
      ),
      commitSequence: Long('The number that is given out next.', { minimum: 0 }),
    },
    {
      description: 'A number of a run that nobody else was given.',
      examples: [
        { idempotency: { appId: 'nightly-load-2026-11-20', version: 12 }, commitSequence: 13 },
      ],
    },
  ),
)

const NumberItself = Long('The number itself: the `version` of the `idempotency` pair.', {
  minimum: 0,
})

export const AttemptOutcomeSchema = Type.Enum([...attemptOutcomes], { type: 'string' })

export const AttemptList = define(
  'AttemptList',
  Type.Object({
    items: Type.Array(
      define(
        'Attempt',
        Type.Object(
          {
            attemptId: Type.Integer({ minimum: 0 }),
            commitSequence: NumberItself,
            outcome: AttemptOutcomeSchema,
            tableId: Type.Optional(Type.String({ format: 'uuid' })),
            tableName: Type.Optional(
              Type.String({ description: 'As it was named, where there was no such table.' }),
            ),
            version: Type.Optional(
              Type.Integer({
                minimum: 0,
                description: 'Of the table. Of a duplicate that of the first time.',
              }),
            ),
            transactionId: Type.Optional(
              Type.String({
                format: 'uuid',
                description: 'The transaction over several tables that it was part of.',
              }),
            ),
            attemptedAt: Timestamp('By the clock of the database.'),
            problem: Type.Optional(
              Type.Object(
                { code: Type.String(), detail: Type.String() },
                { description: 'Why it was refused; of a long detail the beginning.' },
              ),
            ),
          },
          {
            description:
              'What became of one table of a commit under a run. A duplicate was there before, or a later number was.',
            examples: [
              {
                attemptId: 7,
                commitSequence: 12,
                outcome: 'committed',
                tableId: '984fd80b-325d-484e-b9f9-5e5e38b92a24',
                version: 31,
                attemptedAt: '2026-11-20T01:02:03.000Z',
              },
            ],
          },
        ),
      ),
    ),
    nextCursor: Type.Optional(Type.String()),
  }),
)

export const GapList = define(
  'GapList',
  Type.Object({
    items: Type.Array(
      define(
        'Gap',
        Type.Object(
          {
            commitSequence: NumberItself,
            givenAt: Timestamp('When it was last given out.'),
          },
          {
            description: 'A number that was given out and never committed to any table.',
            examples: [{ commitSequence: 12, givenAt: '2026-11-20T01:02:03.000Z' }],
          },
        ),
      ),
    ),
    nextCursor: Type.Optional(Type.String()),
  }),
)
