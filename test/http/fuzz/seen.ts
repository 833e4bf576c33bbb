/** What a server has answered so far, so that requests can speak of what is there. */
export interface Seen {
  /** Takes in all members of an answer, by their names; its `id` under another, if that is given. */
  takeIn: (value: unknown, idName?: string) => void
  /**
   * Values of the members of this name; where there are none, of those whose names end like it: `cursor` finds those
   * of `nextCursor`, and `id` is not drowned in those of `operationId`.
   */
  under: (name: string) => readonly unknown[]
}

const valuesMax = 50
const textMax = 300

export function startSeeing(): Seen {
  const byName = new Map<string, unknown[]>()

  function note(name: string, value: unknown): void {
    if (typeof value === 'string' && value.length > textMax) return
    const values = byName.get(name) ?? []
    if (values.length < valuesMax && !values.includes(value)) values.push(value)
    byName.set(name, values)
  }

  function takeIn(value: unknown, idName = 'id'): void {
    if (typeof value !== 'object' || value === null) return
    for (const [name, inner] of Object.entries(value)) {
      if (typeof inner === 'object') takeIn(inner, idName)
      else if (!Array.isArray(value)) note((name === 'id' ? idName : name).toLowerCase(), inner)
    }
  }

  return {
    takeIn,
    under: (name) =>
      byName.get(name.toLowerCase()) ??
      [...byName].flatMap(([known, values]) => (known.endsWith(name.toLowerCase()) ? values : [])),
  }
}
