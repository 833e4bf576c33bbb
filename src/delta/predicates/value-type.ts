import type { Possibility, Range } from './possibilities.ts'

/** How the literals of a type are read. Values of one family compare with each other. */
export interface LiteralType {
  family:
    | 'integer'
    | 'decimal'
    | 'floating'
    | 'boolean'
    | 'string'
    | 'binary'
    | 'date'
    | 'timestamp'
    | 'timestamp_ntz'
  /** What a literal looks like. */
  example: string
  /** The one value that a literal names; undefined when it cannot be read. */
  literal: (text: string) => Possibility | undefined
}

/** How the values of a column of a type are read. */
export interface ValueType extends LiteralType {
  /** What a file's rows hold when this text stands in `partitionValues`; undefined when it cannot be read. */
  partition: (text: string) => Possibility | undefined
  /**
   * The values that may have been meant by one that stands in `minValues` or `maxValues`: a least value is
   * not below its low end, a greatest not above its high end. Undefined when it cannot be read.
   */
  bound: (written: unknown) => Range | undefined
}
