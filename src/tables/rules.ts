/** A UUID in hexadecimal digits of either case. */
export const tableIdPattern =
  '^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$'

/** Parts of letters, digits, `_` and `-`, joined by dots, so that a name needs no encoding in a URL. */
export const tableNamePattern = '^[A-Za-z0-9_][A-Za-z0-9_-]*(\\.[A-Za-z0-9_][A-Za-z0-9_-]*)*$'

/** What a name can begin with, as far as its characters go. */
export const tableNameStartPattern = '^[A-Za-z0-9_.-]*$'

const id = new RegExp(tableIdPattern)
const name = new RegExp(tableNamePattern)

/** The longest name of a table, in characters. */
export const tableNameLengthMax = 255

/** Whether a text can be the name of a table. */
export function isTableName(text: string): boolean {
  return text.length <= tableNameLengthMax && name.test(text)
}

/** True when the text that names a table is its id; no name may look like one. */
export function isTableId(table: string): boolean {
  return id.test(table)
}

/** The one text by which a table is known that was named by its id or its name. */
export function tableKey(table: string): string {
  return isTableId(table) ? table.toLowerCase() : table
}
