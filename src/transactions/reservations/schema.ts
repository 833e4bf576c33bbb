import Type, { type Static } from 'typebox'
import { define, strictObject, Timestamp } from '../../http/schema.ts'
import { TableParams } from '../../tables/schema.ts'

export const ReserveTables = define(
  'ReserveTables',
  strictObject(
    {
      tables: Type.Array(TableParams.properties.id, {
        minItems: 1,
        description: 'Ids or names. With those it has, TRANSACTION_TABLES_MAX at most.',
      }),
      waitMs: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          default: 0,
          description:
            'Time for which the request may wait while others have the tables, RESERVATION_WAIT_MS_MAX at most.',
        }),
      ),
    },
    {
      description: 'Tables that are to be reserved together.',
      examples: [{ tables: ['sales.orders'], waitMs: 5000 }],
    },
  ),
)
export type ReserveTables = Static<typeof ReserveTables>

export const ReservedTable = define(
  'ReservedTable',
  Type.Object(
    { tableId: Type.String({ format: 'uuid' }), reservedAt: Timestamp('Since when.') },
    { description: 'A table that nobody but the transaction writes to.' },
  ),
)

export const Reservations = define(
  'Reservations',
  Type.Object(
    {
      transactionId: Type.String({ format: 'uuid' }),
      expiresAt: Timestamp('When the transaction ends by itself, and its reservations with it.'),
      tables: Type.Array(ReservedTable),
    },
    { description: 'All tables that a transaction has reserved.' },
  ),
)
