import Type, { type Static } from 'typebox'
import { define, PageQuery, strictObject } from '../../http/schema.ts'
import { Key } from '../schema.ts'

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
      limit: PageQuery.limit,
      cursor: Type.Optional(
        Type.String({
          minLength: 1,
          maxLength: 8000,
          description: '`nextCursor` of the page before.',
        }),
      ),
    },
    {
      description: 'Which entries are looked for. All that is said must hold.',
      examples: [{ metadata: { topic: 'orders' }, keyPrefix: 'offsets/', limit: 100 }],
    },
  ),
)
export type StateQuery = Static<typeof StateQuery>
