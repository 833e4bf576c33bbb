import Type from 'typebox'
import { ActionSchema } from '../commits/schema.ts'
import { define, Long, PageQuery, strictObject, Version } from '../http/schema.ts'
import { ProtocolSchema } from '../tables/schema.ts'

export const ChangesQuery = strictObject({
  from: Version('The version before the changes.', { examples: [0] }),
  to: Type.Optional(Version('The version after them, not below `from`; the newest by default.')),
  ...PageQuery,
})

const count = (description: string) => Type.Integer({ minimum: 0, description })

const anyObject = Type.Object({}, { additionalProperties: true })

const fields = {
  from: Type.Integer({ minimum: 0 }),
  to: Type.Integer({ minimum: 0 }),
  numAddedFiles: count('Files that `to` has and `from` has not, or not with the same add.'),
  numRemovedFiles: count('Files that `from` has and `to` has not.'),
  numAddedBytes: Long('Sum of the sizes of the files added.'),
  numRemovedBytes: Long('Sum of the sizes of the files removed.'),
}

const change = (of: ReturnType<typeof Type.Object>) =>
  Type.Optional(Type.Object({ from: of, to: of }))

/** Where changes are lines, what is told besides them. */
export const changesHeader = {
  'Changes-Summary': Type.Optional(
    Type.String({ description: 'Of NDJSON: versions and counts as in a page, as a JSON object.' }),
  ),
}

/** What the header has. */
export const changesHeaderMembers = Object.keys(fields)

export const Changes = define(
  'Changes',
  Type.Object(
    {
      ...fields,
      protocol: Type.Optional(Type.Object({ from: ProtocolSchema, to: ProtocolSchema })),
      schema: change(anyObject),
      partitionColumns: Type.Optional(
        Type.Object({ from: Type.Array(Type.String()), to: Type.Array(Type.String()) }),
      ),
      properties: Type.Optional(
        Type.Object(
          {
            set: Type.Record(Type.String(), Type.String()),
            removed: Type.Array(Type.String()),
          },
          { description: 'Table properties that have a new value, and those that are gone.' },
        ),
      ),
      items: Type.Array(ActionSchema, {
        description:
          'What one commit would have to say to make `to` of `from`: protocol, metaData, txn and domainMetadata actions, then removes, then adds.',
      }),
      nextCursor: Type.Optional(Type.String()),
    },
    { description: 'What is another at `to` than at `from`. What is the same is left out.' },
  ),
)
