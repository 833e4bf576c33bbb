import Type from 'typebox'
import { define } from '../http/schema.ts'

const count = (description: string) => Type.Integer({ minimum: 0, description })

export const CheckpointAnswer = define(
  'Checkpoint',
  Type.Object(
    {
      tableId: Type.String({ format: 'uuid' }),
      version: Type.Integer({ minimum: 0 }),
      spec: Type.Enum(['v1', 'v2'], {
        type: 'string',
        description:
          'V2 for a table with the feature `v2Checkpoint` and `delta.checkpointPolicy=v2`.',
      }),
      numActions: count('Actions in the checkpoint.'),
      numAddFiles: count('Live files among them.'),
      sizeInBytes: count('Bytes of all its files.'),
      files: Type.Array(
        Type.Object({
          path: Type.String({ description: 'Relative to the `_delta_log`.' }),
          sizeInBytes: count('Bytes of the file.'),
          numActions: count('Actions in the file.'),
        }),
        { description: 'Sidecars first.' },
      ),
    },
    { description: 'A checkpoint that stands in the log of a table.' },
  ),
)
