import Type from 'typebox'
import { define, strictObject, Timestamp } from '../http/schema.ts'
import { mirrorStates } from './rules.ts'

const StateName = Type.Enum([...mirrorStates], {
  type: 'string',
  description:
    '`current`: every commit is published. `behind`: some are on their way. `retrying`: the last attempt failed, and another follows by itself. `failed`: it has failed too often to pass by itself; it is still tried now and then. `paused`: nothing is published because somebody asked for it. `forked`: the log holds a file that this service did not write; nothing is overwritten, and nothing more is published.',
})

const sideProperties = {
  inCommitTimestamp: Type.Optional(
    Type.Integer({ description: 'Epoch milliseconds, where the commit tells.' }),
  ),
  commitInfo: Type.Optional(
    Type.Object(
      {},
      {
        additionalProperties: true,
        description: 'Some of what the commitInfo says: what was done, by what, when. Cut short.',
      },
    ),
  ),
  sizeInBytes: Type.Integer({ minimum: 0, description: 'Of the log file.' }),
  sha256: Type.Optional(Type.String({ description: 'Of the log file, unless it is very large.' })),
}

const Fork = define(
  'Fork',
  Type.Object(
    {
      version: Type.Integer({
        minimum: 0,
        description: 'The first version that the log has with other content than this service.',
      }),
      ours: Type.Optional(
        Type.Object(sideProperties, {
          description:
            'What was committed here. Absent while nothing was: then `retry?policy=adopt` can take theirs in.',
        }),
      ),
      nextVersion: Type.Optional(
        Type.Integer({
          minimum: 0,
          description:
            'The version that the log goes on with, where `version` is missing: somebody wrote it, and the file before it is gone.',
        }),
      ),
      theirs: Type.Optional(
        Type.Object(
          {
            ...sideProperties,
            modifiedAt: Timestamp('The time of the log file.'),
            lastVersion: Type.Integer({
              minimum: 0,
              description: 'How far the log goes on from there without a gap, as it was found.',
            }),
          },
          {
            description:
              'What stands in the log. Absent when nothing does, or it could not be looked at.',
          },
        ),
      ),
    },
    { description: 'Where the log and this service part, and what either side has there.' },
  ),
)

const stateProperties = {
  state: StateName,
  publishedVersion: Type.Integer({ minimum: -1, description: '-1 before the first.' }),
  pending: Type.Integer({ minimum: 0, description: 'Committed versions not yet published.' }),
  lastError: Type.Optional(Type.String({ description: 'Why the last attempt failed.' })),
  nextRetryAt: Type.Optional(Timestamp('When publishing is tried again.')),
  pausedAt: Type.Optional(Timestamp('When the mirror was paused.')),
  lagMs: Type.Integer({ minimum: 0, description: 'Age of the oldest commit not yet published.' }),
  fork: Type.Optional(Fork),
}

export const MirrorState = define(
  'MirrorState',
  Type.Object(stateProperties, {
    description: "How far the table's commits are published to its `_delta_log`.",
  }),
)

const TableMirror = define(
  'TableMirror',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      name: Type.String(),
      location: Type.String(),
      version: Type.Integer({ minimum: 0, description: 'The newest version of the table.' }),
      droppedAt: Type.Optional(Timestamp('When the table was dropped.')),
      ...stateProperties,
    },
    { description: 'A table, and how far its commits are published.' },
  ),
)

export const TableMirrorList = define(
  'TableMirrorList',
  Type.Object({ items: Type.Array(TableMirror), nextCursor: Type.Optional(Type.String()) }),
)

export const MirrorFilter = { state: Type.Optional(StateName) }

export const RetryQuery = strictObject({
  policy: Type.Optional(
    Type.Enum(['adopt'], {
      type: 'string',
      description:
        '`adopt`: versions that somebody else wrote to the log, and that were not committed here, become versions of the table. Without it the log is only published to.',
    }),
  ),
})
