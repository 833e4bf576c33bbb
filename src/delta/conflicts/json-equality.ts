type JsonObject = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null
}

/** Names of the members that are not the same in both objects. */
export function differingMembers(a: JsonObject, b: JsonObject): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].filter(
    (name) => Object.hasOwn(a, name) !== Object.hasOwn(b, name) || !isSameJson(a[name], b[name]),
  )
}

/** Whether two JSON values are the same, whatever the order of members. Bound their depth first. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (!isObject(a) || !isObject(b)) return a === b
  return Array.isArray(a) === Array.isArray(b) && differingMembers(a, b).length === 0
}
