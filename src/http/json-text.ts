/** JSON composed of texts that are JSON already, so that what stands in a log keeps its tokens. */

/** An object whose members are given as JSON text; those that are undefined are left out. */
export function objectText(members: Record<string, string | undefined>): string {
  const texts = Object.entries(members).flatMap(([name, json]) =>
    json === undefined ? [] : `${JSON.stringify(name)}:${json}`,
  )
  return `{${texts.join(',')}}`
}

/** Plain values as JSON texts; a bigint as its digits. */
export function memberTexts(members: Record<string, unknown>): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? String(value) : JSON.stringify(value),
    ]),
  )
}
