/** Texts of callers: what the database can keep of them, and how messages show them. */

const shownCharacters = 100
const listedNames = 10

/** Whether PostgreSQL can keep a text as it is: no NUL character, no unpaired surrogate. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** Whether a text takes more than `limit` bytes in UTF-8. */
export function exceedsBytes(text: string, limit: number): boolean {
  if (text.length > limit) return true
  if (text.length * 3 <= limit) return false
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // Each half of a surrogate pair counts two of the pair's four bytes.
    if (code >= 0x80) bytes += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2
  }
  return bytes > limit
}

/** A text in quotes for a message: escaped, and cut when it is long. */
export function quoted(text: string): string {
  return text.length > shownCharacters
    ? `${JSON.stringify(text.slice(0, shownCharacters))}…`
    : JSON.stringify(text)
}

/** Names for a message: the first few in quotes, and how many more there are. */
export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const first = names.slice(0, listedNames).map(quoted).join(', ')
  return names.length > listedNames ? `${first} and ${names.length - listedNames} more` : first
}
