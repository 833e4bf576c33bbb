import type { TableCreation } from '../commits/unit.ts'
import { type Fault, faultsBelow } from '../delta/faults.ts'
import { compactJson, memberSources } from '../delta/json.ts'
import { Problem } from '../problems.ts'
import type { Storage } from '../storage/storage.ts'
import { defineTable } from '../tables/define-table.ts'
import { defaultLocation, hasDeltaLog } from '../tables/location.ts'
import { isTableId, nameLikeId } from '../tables/rules.ts'
import type { CreateTable } from '../tables/schema.ts'

/** Where new tables may lie. */
export interface CreationContext {
  storage: Storage
  dataDir: string
}

/** A table that an entry asks for; `text` is the JSON of the entry, and `id` will be that of the table. */
export interface CreationAsked {
  create: CreateTable
  text: string
  id: string
}

/**
 * What is to be made, but for what fills it. Throws `location-not-allowed`; what else is wrong with the definition shows
 * when `define` is called.
 */
export async function planCreation(
  { storage, dataDir }: CreationContext,
  { create, text, id }: CreationAsked,
): Promise<Omit<TableCreation, 'place' | 'proposal'>> {
  const location = await storage.resolve(create.location ?? defaultLocation(dataDir, id))
  // Asked before the catalogue is locked, for a store may be slow.
  const hasLog = await hasDeltaLog(storage, location)
  const schema = memberSources(memberSources(text).get('create') ?? '{}').get('schema') ?? '{}'
  const schemaJson = compactJson(schema)
  return {
    kind: 'create',
    table: create.name,
    id,
    location,
    hasLog,
    define: (now) =>
      below('/create', () => {
        if (isTableId(create.name)) throw nameLikeId(create.name)
        return defineTable(create, { id, schemaJson, now })
      }),
  }
}

/** The operation of a version 0 that says nothing else. */
export function creationOperation(numActions: number): string {
  return numActions === 0 ? 'CREATE TABLE' : 'CREATE TABLE AS SELECT'
}

/** Tells faults of a part of the entry with the pointer to it. */
function below<Result>(pointer: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const errors = faultsBelow(pointer, (error.facts['errors'] ?? []) as readonly Fault[])
    throw new Problem(error.code, error.message, { facts: { ...error.facts, errors } })
  }
}
