import Type, { type Static } from 'typebox'
import { ActionSchema } from '../commits/schema.ts'
import { define, LinePosition, PageQuery, strictObject, Version } from '../http/schema.ts'
import { VersionQuery } from '../snapshots/schema.ts'

/** What files are selected by. */
export const PredicateRef = Type.Unsafe<object>(Type.Ref('Predicate'))

export const Scan = define(
  'Scan',
  strictObject(
    {
      ...VersionQuery,
      predicate: Type.Optional(PredicateRef),
      columns: Type.Optional(
        Type.Array(Type.String({ minLength: 1, maxLength: 1000 }), {
          maxItems: 1000,
          description:
            'The columns that will be read, named as in a predicate. The `stats` of the files then tell of these alone, besides the number of records. Without it they are as in the log, token for token.',
        }),
      ),
      ...PageQuery,
    },
    {
      description: 'What will be read of a table. Without a predicate that is every file.',
      examples: [
        {
          predicate: {
            op: 'and',
            children: [
              {
                op: 'equal',
                children: [
                  { op: 'column', name: 'day', valueType: 'date' },
                  { op: 'literal', value: '2026-11-20', valueType: 'date' },
                ],
              },
              {
                op: 'lessThan',
                children: [
                  { op: 'column', name: 'id' },
                  { op: 'literal', value: 100, valueType: 'long' },
                ],
              },
            ],
          },
          columns: ['id'],
        },
      ],
    },
  ),
)
export type Scan = Static<typeof Scan>

const count = (description: string) => Type.Integer({ minimum: 0, description })

const summaryFields = {
  version: Type.Integer({ minimum: 0, description: 'The version that was read.' }),
  numFiles: count('Live files of the version.'),
  numMatched: count('Files that can hold rows that satisfy the predicate.'),
  prunedByPartition: count('Files left out for their partition values.'),
  prunedByStatistics: count('Files left out for their statistics.'),
}

/** Where files are lines, what is told besides them. */
export const summaryHeader = {
  'Scan-Summary': Type.Optional(
    Type.String({
      description: 'Of NDJSON: what stands beside the files in a page, as a JSON object.',
    }),
  ),
}

/** What the header has. */
export const summaryMembers = Object.keys(summaryFields)

export const ScanResult = define(
  'ScanResult',
  Type.Object(
    {
      ...summaryFields,
      items: Type.Array(ActionSchema, { description: 'The files that matched, as add actions.' }),
      nextCursor: Type.Optional(
        Type.String({ description: '`cursor` of the same request for the next page.' }),
      ),
    },
    { description: 'Files that can hold rows that satisfy a predicate; no other file does.' },
  ),
)

const FileCount = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

/** The place of a file in a scan, as a cursor has it. */
export const ScanPlace = Type.Object({
  at: Version('The version that the scan shows.'),
  addedVersion: Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER }),
  addedPosition: LinePosition,
  numFiles: FileCount,
  numMatched: FileCount,
  prunedByPartition: FileCount,
  prunedByStatistics: FileCount,
})
