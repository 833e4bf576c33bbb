import Type, { type Static } from 'typebox'
import { define, noNul, strictObject } from '../http/schema.ts'

const Name = (description: string) =>
  Type.String({ minLength: 1, maxLength: 512, ...noNul, description })

/** Fences of one request, or of one table of a transaction, at most. */
const fencesMax = 100

const Fence = define(
  'Fence',
  strictObject(
    {
      lock: Type.Optional(Name('Name of a lock.')),
      election: Type.Optional(Name('Name of an election.')),
      token: Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'The token with which the lock was granted, or the election won.',
      }),
    },
    {
      minProperties: 2,
      maxProperties: 2,
      description: 'A `lock` or an `election`, and a token of it that must be in force.',
      examples: [{ lock: 'orders-writer', token: 42 }],
    },
  ),
)
export type FenceBody = Static<typeof Fence>

export const Fences = Type.Array(Fence, {
  maxItems: fencesMax,
  description:
    'Tokens that must all be in force when it is written: of a holder whose lease has not run out by the clock of the database. Else 409 `stale-fence`.',
})

/** Fences in a query, where the body is something else. */
export const FencesText = Type.String({
  minLength: 2,
  maxLength: 100_000,
  description:
    'Fences as JSON, where the body does not hold them: `[{"lock": "orders-writer", "token": 42}]`.',
})
