import { Problem } from '../problems.ts'

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

/** The refusal of a name that could be taken for an id. */
export function nameLikeId(name: string): Problem {
  return new Problem('invalid-table', `The name ${name} looks like an id. Choose another.`, {
    facts: { errors: [{ pointer: '/name', message: 'must not look like a UUID' }] },
  })
}

/** The refusal of a name that another table has, in whatever case. */
export function nameTaken(taken: string): Problem {
  return new Problem('table-name-taken', `There is a table ${taken} already.`, {
    facts: { name: taken },
  })
}

/** The refusal of a location that another table has, or that lies in or around one. */
export function locationTaken(folder: string, around: { name: string; location: string }): Problem {
  return new Problem(
    'location-taken',
    `The location ${folder} collides with that of the table ${around.name}, ${around.location}.`,
    { facts: { name: around.name, location: around.location } },
  )
}

/** The refusal of a location in which others have begun a log. */
export function foreignLog(folder: string): Problem {
  return new Problem(
    'location-taken',
    `The location ${folder} holds a Delta log that this service did not write. To take that table over, import it.`,
    { facts: { location: folder } },
  )
}
