import Type, { type Static } from 'typebox'
import { readPreferencePattern } from '../../http/read-preference.ts'
import { define, strictObject, Timestamp } from '../../http/schema.ts'

/** A hundred years. */
const durationMax = 100 * 365 * 86_400_000

const Duration = (description: string) =>
  Type.Integer({ minimum: 1, maximum: durationMax, description })

const settings = {
  retention: Type.Optional(
    strictObject(
      {
        maxAgeMs: Type.Optional(
          Duration('How long ago a write may have been replaced. Without it any time.'),
        ),
        maxRevisions: Type.Optional(
          Type.Integer({
            minimum: 0,
            maximum: Number.MAX_SAFE_INTEGER,
            description: 'How many revisions back the history reaches. Without it to the first.',
          }),
        ),
        archive: Type.Optional(
          Type.Boolean({
            default: false,
            description:
              'Whether what leaves the history is kept in the archive. Switched off, the archive is removed as soon as something leaves without it.',
          }),
        ),
      },
      {
        description:
          'What leaves the history: writes that were replaced, and deletions, as soon as they are beyond one of the limits. Entries stay.',
      },
    ),
  ),
  defaultTtlMs: Type.Optional(
    Duration('After how long an entry is gone whose write says nothing of it. Without it never.'),
  ),
  durability: Type.Optional(
    Type.Enum(['sync', 'async'], {
      type: 'string',
      default: 'sync',
      description:
        '`async`: writes are answered before they are on disk; the last of them are lost when the machine of the database fails.',
    }),
  ),
  metadataIndex: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Whether entries can be found by their metadata through an index.',
    }),
  ),
  requirePrecondition: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Whether every write must say which version it replaces; else 428.',
    }),
  ),
  readPreference: Type.Optional(
    Type.String({
      pattern: readPreferencePattern,
      description: 'As the header of this name, for reads that come without it.',
      examples: ['replica; max-lag-ms=500'],
    }),
  ),
}

const exampleSettings = {
  retention: { maxAgeMs: 604_800_000, archive: true },
  durability: 'sync',
  metadataIndex: true,
}

export const SetNamespace = define(
  'SetNamespace',
  strictObject(settings, {
    description: 'How a namespace is to be. What is left out goes back to its default.',
    examples: [exampleSettings],
  }),
)
export type SetNamespace = Static<typeof SetNamespace>

const Count = (description: string) =>
  Type.Object(
    {
      count: Type.Integer({ minimum: 0 }),
      isExact: Type.Boolean({ description: 'False where it is an estimate, for it is many.' }),
    },
    { description },
  )

const summary = {
  namespace: Type.String(),
  revision: Type.Integer({ minimum: 0, description: 'Of the last write.' }),
  entries: Type.Integer({
    minimum: 0,
    description: 'With those that have expired and were not removed yet.',
  }),
  createdAt: Timestamp('When it was made.'),
}

const exampleSummary = {
  namespace: 'consumers',
  revision: 1700,
  entries: 12,
  createdAt: '2026-11-20T08:30:00.000Z',
}

export const StateNamespace = define(
  'StateNamespace',
  Type.Object(
    {
      ...summary,
      deletedKeys: Count('Keys that were deleted, and are remembered for their versions.'),
      history: Type.Object({
        oldestRevision: Type.Integer({
          minimum: 1,
          description: 'The oldest revision that can be read and watched from.',
        }),
        archivedFrom: Type.Optional(
          Type.Integer({
            minimum: 1,
            description: 'The oldest revision that the archive can tell of.',
          }),
        ),
        writes: Count('Writes that are kept.'),
      }),
      metadataIndex: Type.Object({
        enabled: Type.Boolean(),
        state: Type.Optional(
          Type.Enum(['building', 'ready', 'failed'], {
            type: 'string',
            description:
              '`building`: it is being built, or will be in a moment. `failed`: that was broken off; it is begun anew within a minute, or by the next PUT.',
          }),
        ),
      }),
      settings: Type.Object(settings),
    },
    {
      description: 'A namespace, what it holds, and its settings.',
      examples: [
        {
          ...exampleSummary,
          deletedKeys: { count: 3, isExact: true },
          history: { oldestRevision: 1201, writes: { count: 515, isExact: true } },
          metadataIndex: { enabled: true, state: 'ready' },
          settings: { ...exampleSettings, requirePrecondition: false },
        },
      ],
    },
  ),
)

const NamespaceSummary = define(
  'StateNamespaceSummary',
  Type.Object(summary, { description: 'A namespace in a list.', examples: [exampleSummary] }),
)

export const NamespaceList = define(
  'StateNamespaceList',
  Type.Object(
    {
      items: Type.Array(NamespaceSummary, { description: 'By name.' }),
      nextCursor: Type.Optional(Type.String()),
    },
    { description: 'A page of namespaces.', examples: [{ items: [exampleSummary] }] },
  ),
)
