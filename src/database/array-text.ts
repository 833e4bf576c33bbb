/** Control characters and halves of surrogate pairs, which JSON writes otherwise than PostgreSQL does. */
const unlikeJson = /[^ -\ud7ff\ue000-\uffff]/

/** What an array of a statement may hold. */
export type ArrayElement = string | number | bigint | boolean | Buffer | null | undefined

/**
 * An array in the text form of PostgreSQL ("Array Input and Output Syntax"). A quoted element escapes quotes and
 * backslashes, as JSON does: so most texts can be left to `JSON.stringify`, which takes a fifth of the time.
 */
export function arrayText(elements: readonly ArrayElement[]): string {
  let text = '{'
  for (const [index, element] of elements.entries()) {
    if (index > 0) text += ','
    text += elementText(element)
  }
  return `${text}}`
}

function elementText(element: ArrayElement): string {
  if (element === null || element === undefined) return 'NULL'
  if (typeof element === 'string') return quoted(element)
  return Buffer.isBuffer(element) ? `"\\\\x${element.toString('hex')}"` : String(element)
}

function quoted(text: string): string {
  return unlikeJson.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : JSON.stringify(text)
}
