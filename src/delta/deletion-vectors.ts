/** Deletion vectors: the rows of a file that are no longer in the table. */
import type { DeletionVector, Exact } from './actions.ts'

type Vector = DeletionVector | Exact<DeletionVector>

/**
 * What tells one deletion vector of a file from another (PROTOCOL.md, "Derived Fields"); null where a file
 * has none.
 */
export function deletionVectorId(vector: Vector | null | undefined): string | null {
  if (!vector) return null
  const { storageType, pathOrInlineDv, offset } = vector
  const id = `${storageType}${pathOrInlineDv}`
  return offset === null || offset === undefined ? id : `${id}@${offset}`
}
