import Type, { type Static } from 'typebox'
import { define, strictObject } from '../../http/schema.ts'
import { putFields } from '../schema.ts'

const { expectedVersion: _expectedVersion, ...fields } = putFields

const exampleLine = { key: 'orders.offset', value: 1200, metadata: { topic: 'orders' } }

/** A line of an import: an entry as it is to be written. */
export const ImportedEntry = strictObject(fields)
export type ImportedEntry = Static<typeof ImportedEntry>

/** Checked by the route, line by line as they arrive. */
export const EntryLines = Type.Unsafe<unknown>({
  type: 'string',
  contentMediaType: 'application/x-ndjson',
  description: 'One entry a line. A key may stand once.',
  examples: [`${JSON.stringify(exampleLine)}\n`],
})

export const ImportResult = define(
  'StateImportResult',
  Type.Object(
    {
      namespace: Type.String(),
      revision: Type.Integer({ minimum: 1, description: 'Of all that was written.' }),
      imported: Type.Integer({ minimum: 1 }),
      created: Type.Integer({ minimum: 0, description: 'Of these, those that are new.' }),
      replaced: Type.Integer({
        minimum: 0,
        description: 'Of these, those that have taken the place of an earlier one.',
      }),
    },
    {
      description: 'What was imported.',
      examples: [{ namespace: 'consumers', revision: 18, imported: 2, created: 1, replaced: 1 }],
    },
  ),
)

export const ExportedLines = Type.Unsafe<unknown>({
  type: 'string',
  description: 'One entry a line, as an import takes it.',
})
