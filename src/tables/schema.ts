import Type, { type Static } from 'typebox'
import { Metadata, Protocol } from '../delta/actions.ts'
import { define, Long, noNul, strictObject, Timestamp } from '../http/schema.ts'
import { MirrorState } from '../mirror/schema.ts'
import { tableNamePattern } from './rules.ts'

const exampleSchema = {
  type: 'struct',
  fields: [
    { name: 'id', type: 'long', nullable: false, metadata: {} },
    { name: 'day', type: 'date', nullable: true, metadata: {} },
    { name: 'amount', type: 'double', nullable: true, metadata: {} },
  ],
}

export const ProtocolSchema = define('Protocol', Protocol)
export const MetadataSchema = define('Metadata', Metadata)

export const TableName = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: tableNamePattern,
  description:
    'Parts of letters, digits, "_" and "-", joined by dots. Unique without regard to case.',
})

export const TableParams = Type.Object({
  id: Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: tableNamePattern,
    description: 'Id or name of the table: letters, digits, "_" and "-" in parts joined by dots.',
    examples: ['sales.orders'],
  }),
})

export const Location = Type.String({
  minLength: 1,
  maxLength: 1000,
  description:
    'Folder of the table: an absolute path or a file: URI below an allowed root. A new table without one gets a folder of its own below DATA_DIR.',
})

export const CreateTable = define(
  'CreateTable',
  strictObject(
    {
      name: TableName,
      schema: Type.Object(
        {},
        {
          additionalProperties: true,
          description: 'Delta\'s struct type (PROTOCOL.md, "Schema Serialization Format").',
        },
      ),
      partitionColumns: Type.Optional(
        Type.Array(Type.String({ maxLength: 1000 }), {
          maxItems: 1000,
          description: 'Top-level columns, in order.',
        }),
      ),
      location: Type.Optional(Location),
      description: Type.Optional(
        Type.String({ maxLength: 10_000, ...noNul, description: 'Any text without NUL.' }),
      ),
      configuration: Type.Optional(
        Type.Record(Type.String(), Type.String(), {
          maxProperties: 1000,
          description: 'Table properties, such as `delta.appendOnly`.',
        }),
      ),
      protocol: Type.Optional(ProtocolSchema),
    },
    {
      description:
        'The protocol is the lowest that the schema and configuration need, with in-commit timestamps on; `protocol` can only raise it.',
      examples: [{ name: 'sales.orders', schema: exampleSchema, partitionColumns: ['day'] }],
    },
  ),
)
export type CreateTable = Static<typeof CreateTable>

export const Statistics = define(
  'Statistics',
  Type.Object(
    {
      numFiles: Type.Integer({ minimum: 0 }),
      sizeInBytes: Long('Sum of the sizes of the live files.'),
      numRecords: Type.Union([Type.Integer(), Type.Null()], {
        description:
          'Rows, less those that deletion vectors remove; null when some live file has no statistics.',
      }),
    },
    { description: 'About the live files of one version.' },
  ),
)

export const Table = define(
  'Table',
  Type.Object(
    {
      id: Type.String({ format: 'uuid' }),
      name: Type.String(),
      location: Type.String({ description: 'Absolute path of the folder, or s3://bucket/prefix.' }),
      version: Type.Integer({ minimum: 0, description: 'The newest version.' }),
      historyFrom: Type.Integer({
        minimum: 0,
        description: 'The oldest version that can be read; 0 but for imported tables.',
      }),
      inCommitTimestamp: Type.Integer({ description: 'Epoch milliseconds of the newest version.' }),
      protocol: ProtocolSchema,
      metadata: MetadataSchema,
      statistics: Statistics,
      mirror: MirrorState,
      createdAt: Timestamp('When the table was created here.'),
      droppedAt: Type.Optional(Timestamp('When the table was dropped.')),
    },
    { description: 'A Delta table at its newest version.' },
  ),
)

export const TableList = define(
  'TableList',
  Type.Object({ items: Type.Array(Table), nextCursor: Type.Optional(Type.String()) }),
)
