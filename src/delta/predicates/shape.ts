/** The JSON form of a predicate, that of Delta Sharing's `jsonPredicateHints` with `in` added. */
import Type from 'typebox'

/** How deep a predicate may nest; its JSON then stays within the depth that any request may have. */
export const predicateDepthMax = 48
/** How many nodes a predicate may have, columns and literals included. */
export const predicateNodesMax = 10_000

/** Everything that a node of a predicate can be. */
export const predicateOps = [
  'and',
  'or',
  'not',
  'isNull',
  'equal',
  'lessThan',
  'lessThanOrEqual',
  'greaterThan',
  'greaterThanOrEqual',
  'in',
  'column',
  'literal',
] as const

/** What a node is. */
export type PredicateOp = (typeof predicateOps)[number]

/** A node of a predicate: an operation with children, a column or a literal. */
export interface PredicateNode {
  op: PredicateOp
  children?: PredicateNode[]
  name?: string
  valueType?: string
  value?: string | number | boolean
}

/**
 * The shape of a node. Children refer to the public name `Predicate`, under which the shape is to be
 * defined; which members go with which operation, `parsePredicate` says.
 */
export const PredicateShape = Type.Unsafe<PredicateNode>(
  Type.Object(
    {
      op: Type.Enum([...predicateOps], { type: 'string' }),
      children: Type.Optional(
        Type.Array(Type.Ref('Predicate'), {
          maxItems: predicateNodesMax,
          description:
            'Of `and` and `or` at least two predicates; of `not` one; of `isNull` one column; of a comparison two columns or literals; of `in` a column and its literals.',
        }),
      ),
      name: Type.Optional(
        Type.String({
          minLength: 1,
          description:
            'Of a `column`: its name, or the path to a field of a struct with a point between the names. A name that holds a point or a backtick stands in backticks, and a backtick inside is doubled.',
        }),
      ),
      valueType: Type.Optional(
        Type.String({
          description:
            'Of a `column` or `literal`: `bool`, `byte`, `short`, `int`, `long`, `float`, `double`, `decimal` or `decimal(p,s)`, `string`, `binary`, `date`, `timestamp` or `timestamp_ntz`. May be left out of a column.',
        }),
      ),
      value: Type.Optional(
        Type.Union([Type.String(), Type.Number(), Type.Boolean()], {
          description:
            'Of a `literal`: the value as text, or a number or boolean for a type of that kind. A timestamp without a zone is in UTC; binary is base64.',
        }),
      ),
    },
    {
      additionalProperties: false,
      description:
        'A condition on rows, as in SQL: null is neither equal to anything nor less or greater, and NaN equals NaN and is greater than any number. Strings compare by their UTF-8 bytes.',
      examples: [
        {
          op: 'and',
          children: [
            {
              op: 'equal',
              children: [
                { op: 'column', name: 'date', valueType: 'date' },
                { op: 'literal', value: '2024-01-01', valueType: 'date' },
              ],
            },
            {
              op: 'not',
              children: [{ op: 'isNull', children: [{ op: 'column', name: 'customer.id' }] }],
            },
          ],
        },
      ],
    },
  ),
)
