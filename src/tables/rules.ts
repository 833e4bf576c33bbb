const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Parts of letters, digits, `_` and `-`, joined by dots, so that a name needs no encoding in a URL. */
export const tableNamePattern = '^[A-Za-z0-9_][A-Za-z0-9_-]*(\\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$'

/** True when the text that names a table is its id; no name may look like one. */
export function isTableId(table: string): boolean {
  return uuid.test(table)
}
