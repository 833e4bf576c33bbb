/** JSON composed of texts that are JSON already, so that what stands in a log keeps its tokens. */

/** An object whose members are given as JSON text; those that are undefined are left out. */
export function objectText(members: Record<string, string | undefined>): string {
  let text = ''
  for (const [name, json] of Object.entries(members)) {
    if (json !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${json}`
  }
  return `{${text}}`
}

/** Plain values as JSON texts; a bigint as its digits. */
export function memberTexts(members: Record<string, unknown>): Record<string, string | undefined> {
  const texts: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(members)) {
    texts[name] = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  }
  return texts
}
