import Type, { type Static } from 'typebox'
import { define, strictObject } from '../../http/schema.ts'
import { Location, Table, TableName } from '../schema.ts'

export const ImportTable = define(
  'ImportTable',
  strictObject(
    { name: TableName, location: Location },
    {
      description: 'A table that others have written, and the name that it is to have here.',
      examples: [{ name: 'sales.returns', location: '/data/tables/returns' }],
    },
  ),
)
export type ImportTable = Static<typeof ImportTable>

const count = (description: string) => Type.Integer({ minimum: 0, description })

export const ImportedTable = define(
  'ImportedTable',
  Type.Intersect([
    Table,
    Type.Object({
      imported: Type.Object(
        {
          historyFrom: count('The oldest version that can be read.'),
          commitsFrom: count('The oldest version whose commit is known.'),
          commits: count('Commits that were read.'),
          actions: count('Actions that were read, those of the checkpoint included.'),
          appTransactions: count('Applications that have written to the table.'),
          domains: count('Metadata domains of the table.'),
          checkpoint: Type.Optional(
            Type.String({
              description:
                'The file in the log with which the history begins, unless at version 0.',
            }),
          ),
        },
        { description: 'What was read of the log.' },
      ),
    }),
  ]),
)
