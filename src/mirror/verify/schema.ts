import Type from 'typebox'
import { define } from '../../http/schema.ts'

const count = (description: string) => Type.Integer({ minimum: 0, description })

const Difference = define(
  'LogDifference',
  Type.Object(
    {
      version: Type.Integer({ minimum: 0 }),
      file: Type.String({ description: 'Below the folder of the table.' }),
      line: Type.Optional(Type.Integer({ minimum: 1 })),
      message: Type.String(),
      ours: Type.Optional(Type.String({ description: 'What the database has, cut short.' })),
      theirs: Type.Optional(Type.String({ description: 'What the log has, cut short.' })),
    },
    { description: 'Where a log says something else than the database.' },
  ),
)

export const LogVerification = define(
  'LogVerification',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      verified: Type.Boolean({ description: 'Whether there is no difference.' }),
      versions: Type.Object(
        {
          from: Type.Integer({ minimum: 0 }),
          to: Type.Integer({ minimum: -1 }),
          count: count('0 when no commit is published, or none is there any more.'),
        },
        { description: 'The versions whose log files were compared, line by line.' },
      ),
      checkpoint: Type.Optional(
        Type.Object(
          { version: Type.Integer({ minimum: 0 }), file: Type.String() },
          { description: 'The checkpoint that was compared, the newest one.' },
        ),
      ),
      numDifferences: count('How many there are; of one log file at most ten are counted.'),
      differences: Type.Array(Difference, { description: 'The first 100.' }),
    },
    { description: 'What came of holding a log against the database.' },
  ),
)
