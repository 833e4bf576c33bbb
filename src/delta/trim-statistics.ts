/** Leaves statistics of columns out of an add, and every other token as it is. */

import { actionBody, memberSources, nestsTooDeep } from './json.ts'
import type { PredicateColumn } from './predicates/columns.ts'

/** Members of statistics whose members are columns. */
const perColumn = ['minValues', 'maxValues', 'nullCount']

/** Columns by their physical names, outermost first; a column that is wanted whole has none below it. */
interface Wanted extends Map<string, Wanted> {}

function wantedOf(columns: readonly PredicateColumn[]): Wanted {
  const root: Wanted = new Map()
  for (const { physicalPath } of columns) {
    let below = root
    for (const [index, name] of physicalPath.entries()) {
      const known = below.get(name)
      const isWhole = known?.size === 0 || index === physicalPath.length - 1
      const next: Wanted = isWhole ? new Map() : (known ?? new Map())
      below.set(name, next)
      if (isWhole) break
      below = next
    }
  }
  return root
}

function objectOf(members: Iterable<readonly [string, string]>): string {
  return `{${Array.from(members, ([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`
}

function trimColumns(json: string, wanted: Wanted): string {
  if (!json.startsWith('{')) return json
  const kept = [...memberSources(json)].flatMap(([name, value]) => {
    const below = wanted.get(name)
    if (below === undefined) return []
    return [[name, below.size === 0 ? value : trimColumns(value, below)] as const]
  })
  return objectOf(kept)
}

function trimStats(stats: string, wanted: Wanted): string {
  const members = [...memberSources(stats)]
  const kept = members.map(
    ([name, json]) => [name, perColumn.includes(name) ? trimColumns(json, wanted) : json] as const,
  )
  return objectOf(kept)
}

function isObjectText(text: string): boolean {
  try {
    return !nestsTooDeep(text) && JSON.parse(text)?.constructor === Object
  } catch {
    return false
  }
}

/** Makes of the log line of an add the same with statistics of these columns alone. Those that cannot be read stay. */
export function statisticsTrimmer(columns: readonly PredicateColumn[]): (line: string) => string {
  const wanted = wantedOf(columns)
  return (line) => {
    const members = memberSources(actionBody(line))
    const stats: unknown = JSON.parse(members.get('stats') ?? 'null')
    if (typeof stats !== 'string' || !isObjectText(stats)) return line
    members.set('stats', JSON.stringify(trimStats(stats, wanted)))
    return objectOf([['add', objectOf(members)]])
  }
}
