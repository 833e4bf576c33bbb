import Type, { type Static } from 'typebox'
import { define, strictObject } from '../../http/schema.ts'
import { Key, KeyPageQuery } from '../schema.ts'

export const StateQuery = define(
  'StateQuery',
  strictObject(
    {
      metadata: Type.Optional(
        Type.Object(
          {},
          {
            additionalProperties: true,
            description:
              'What the metadata must contain, as jsonb `@>` has it: objects member by member, arrays each element in any place.',
          },
        ),
      ),
      keyPrefix: Type.Optional(Key),
      updatedAfter: Type.Optional(
        Type.String({
          format: 'date-time',
          description: 'Only entries that were written after this. RFC 3339.',
        }),
      ),
      ...KeyPageQuery,
    },
    {
      description: 'Which entries are looked for. All that is said must hold.',
      examples: [{ metadata: { topic: 'orders' }, keyPrefix: 'offsets/', limit: 100 }],
    },
  ),
)
export type StateQuery = Static<typeof StateQuery>
