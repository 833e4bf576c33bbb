/** A change to one key, as a watcher is told of it. */
export interface WatchEvent {
  revision: number
  /** Its place among the changes of its revision, from 0 on. */
  position: number
  key: string
  kind: 'put' | 'delete' | 'expire'
  version: number
  /** Undefined when there is none, as after a delete. */
  value: string | undefined
  created: boolean
  /** What was there before, where that is told: null for nothing. */
  previous?: { version: number; value: string | undefined } | null
  /** The number of the list in which it came, where events come in lists. */
  batch?: number
}

/** Promises that all up to a revision has been sent. */
export interface Bookmark {
  bookmark: number
}

export interface LoggedEvent extends WatchEvent {
  namespace: string
}

/** What one watch asked for and got, over all its connections when it was resumed. */
export interface Watcher {
  namespace: string
  prefix: string
  fromRevision: number
  received: readonly (WatchEvent | Bookmark)[]
  /** The last connection broke, so that the last revision need not be whole. */
  wasCut?: boolean
}

/** The version that an event should have after the one before it for the same key. */
export type VersionRule = (event: WatchEvent, before: WatchEvent | undefined) => number

export const oneAbove: VersionRule = (_, before) => (before?.version ?? 0) + 1

/** All that happened to one namespace, in order, with ways to look it up. */
export interface Truth {
  events: readonly WatchEvent[]
  at: ReadonlyMap<string, WatchEvent>
  /** For each event the one before it for the same key. */
  before: ReadonlyMap<string, WatchEvent | undefined>
  versionOf: VersionRule
}

export type WatchCheck = (watcher: Watcher, truth: Truth) => string[]

/** The guarantees of a watch, by name. */
export const watchChecks = {
  filter: checkFilter,
  ordered: checkOrdered,
  unique: checkUnique,
  atomic: checkAtomic,
  reliable: checkReliable,
  resumable: checkResumable,
  bookmarkable: checkBookmarks,
  content: checkContent,
  previous: checkPrevious,
  created: checkCreated,
} satisfies Record<string, WatchCheck>

/**
 * Holds what watchers got against the log of all events, from the first, in order; answers every breach of a
 * guarantee, by its name, and faults of the log itself. Pure.
 */
export function checkWatchers(
  watchers: readonly Watcher[],
  log: readonly LoggedEvent[],
  versionOf: VersionRule = oneAbove,
): string[] {
  const logs = Map.groupBy(log, ({ namespace }) => namespace)
  const truths = new Map([...logs].map(([namespace, own]) => [namespace, truthOf(own, versionOf)]))
  const nothing = truthOf([], versionOf)
  return [
    ...[...truths].flatMap(([namespace, truth]) =>
      checkLog(namespace, truth).map((fault) => `log of ${namespace}: ${fault}`),
    ),
    ...watchers.flatMap((watcher, index) =>
      Object.entries(watchChecks).flatMap(([name, check]) =>
        check(watcher, truths.get(watcher.namespace) ?? nothing).map(
          (fault) => `watcher ${index} of ${watcher.namespace}: ${name}: ${fault}`,
        ),
      ),
    ),
  ]
}

export function truthOf(events: readonly WatchEvent[], versionOf = oneAbove): Truth {
  const newest = new Map<string, WatchEvent>()
  const before = new Map<string, WatchEvent | undefined>()
  for (const event of events) {
    before.set(placeOf(event), newest.get(event.key))
    newest.set(event.key, event)
  }
  return { events, at: new Map(events.map((event) => [placeOf(event), event])), before, versionOf }
}

/** The log keeps to what it promises its watchers. */
function checkLog(namespace: string, truth: Truth): string[] {
  const all = { namespace, prefix: '', fromRevision: 0, received: truth.events }
  return [checkOrdered, checkUnique, checkPrevious, checkCreated].flatMap((check) =>
    check(all, truth),
  )
}

const placeOf = ({ revision, position }: WatchEvent) => `${revision}.${position}`
const describe = (event: WatchEvent) => `${event.kind} of ${event.key} at ${placeOf(event)}`

const describeValue = (one: { version: number; value: string | undefined } | null) =>
  one === null ? 'nothing' : `${one.version} with ${one.value}`

function isEvent(one: WatchEvent | Bookmark): one is WatchEvent {
  return !('bookmark' in one)
}

const eventsOf = ({ received }: Watcher) => received.filter(isEvent)

function isWanted({ prefix, fromRevision }: Watcher, { key, revision }: WatchEvent): boolean {
  return key.startsWith(prefix) && revision >= fromRevision
}

/** Below 0 when one comes before the other. */
function compare(one: WatchEvent, other: WatchEvent): number {
  return one.revision - other.revision || one.position - other.position
}

/** Nothing comes that was not asked for. */
export function checkFilter(watcher: Watcher): string[] {
  const { prefix, fromRevision } = watcher
  return eventsOf(watcher)
    .filter((event) => !isWanted(watcher, event))
    .map((event) => `${describe(event)} came, for ${prefix}* from ${fromRevision} on`)
}

/** No event comes after a later one. */
export function checkOrdered(watcher: Watcher): string[] {
  const events = eventsOf(watcher)
  return events.flatMap((event, index) => {
    const before = events[index - 1]
    if (before === undefined || compare(before, event) <= 0) return []
    return `${describe(event)} came after ${describe(before)}`
  })
}

/** No event comes twice. */
export function checkUnique(watcher: Watcher): string[] {
  const groups = Map.groupBy(eventsOf(watcher), placeOf)
  return [...groups.values()].flatMap(([first, ...others]) =>
    first !== undefined && others.length > 0
      ? `${describe(first)} came ${others.length + 1} times`
      : [],
  )
}

/** The events of a revision come together: nothing between them, none apart from the others. */
export function checkAtomic(watcher: Watcher, { events }: Truth): string[] {
  const wanted = Map.groupBy(
    events.filter((event) => isWanted(watcher, event)),
    ({ revision }) => revision,
  )
  const runs = runsOf(watcher.received)
  return runs.flatMap((run, index) => {
    const [first] = run
    const whole = wanted.get(first?.revision ?? 0) ?? []
    const name = `revision ${first?.revision}`
    const batches = new Set(run.map(({ batch }) => batch))
    const faults = batches.size > 1 ? [`${name} was split over ${batches.size} lists`] : []
    const isLast = watcher.received.at(-1) === run.at(-1) && index === runs.length - 1
    const got = new Set(run.map(placeOf))
    const missing = whole.filter((event) => !got.has(placeOf(event)))
    if (missing.length > 0 && !(isLast && watcher.wasCut)) {
      faults.push(`${name} came without ${missing.map(describe).join(', ')}`)
    }
    return faults
  })
}

/** Events of the same revision that came one after the other. */
function runsOf(received: Watcher['received']): WatchEvent[][] {
  const runs: WatchEvent[][] = []
  let last: WatchEvent | Bookmark | undefined
  for (const one of received) {
    if (isEvent(one)) {
      const goesOn = last !== undefined && isEvent(last) && last.revision === one.revision
      if (goesOn) runs.at(-1)?.push(one)
      else runs.push([one])
    }
    last = one
  }
  return runs
}

/** Between the first event and the last that came, none is missing. */
export function checkReliable(watcher: Watcher, { events }: Truth): string[] {
  const got = eventsOf(watcher).sort(compare)
  const [first, last] = [got[0], got.at(-1)]
  if (first === undefined || last === undefined) return []
  const places = new Set(got.map(placeOf))
  return events
    .filter((event) => isWanted(watcher, event) && !places.has(placeOf(event)))
    .filter((event) => compare(first, event) < 0 && compare(event, last) < 0)
    .map((event) => `${describe(event)} is missing between ${placeOf(first)} and ${placeOf(last)}`)
}

/** The first event that comes is the first there is from the revision asked for on. */
export function checkResumable(watcher: Watcher, { events }: Truth): string[] {
  const [first] = eventsOf(watcher).sort(compare)
  if (first === undefined) return []
  return events
    .filter((event) => isWanted(watcher, event) && compare(event, first) < 0)
    .map((event) => `${describe(event)} is missing before the first, at ${placeOf(first)}`)
}

/** All up to a bookmark comes before it, nothing of that comes after it, and bookmarks do not go back. */
export function checkBookmarks(watcher: Watcher, { events }: Truth): string[] {
  const wanted = events.filter((event) => isWanted(watcher, event)).sort(compare)
  const got = new Set<string>()
  const faults: string[] = []
  let promised = Number.NEGATIVE_INFINITY
  let next = 0
  for (const one of watcher.received) {
    if (isEvent(one)) {
      got.add(placeOf(one))
      if (one.revision <= promised) faults.push(`${describe(one)} came after bookmark ${promised}`)
      continue
    }
    const { bookmark } = one
    if (bookmark < promised) faults.push(`bookmark ${bookmark} came after bookmark ${promised}`)
    promised = Math.max(promised, bookmark)
    for (let event = wanted[next]; event && event.revision <= bookmark; event = wanted[++next]) {
      if (got.has(placeOf(event))) continue
      faults.push(`${describe(event)} did not come before bookmark ${bookmark}`)
    }
  }
  return faults
}

/** Each event is one that happened, and says what happened. */
export function checkContent(watcher: Watcher, { at }: Truth): string[] {
  return eventsOf(watcher).flatMap((event) => {
    const right = at.get(placeOf(event))
    if (right === undefined) return [`${describe(event)} came from nowhere`]
    const fields = ['key', 'kind', 'version', 'value', 'created'] as const
    return fields
      .filter((field) => event[field] !== right[field])
      .map((field) => `${describe(event)} has ${field} ${event[field]}, not ${right[field]}`)
  })
}

/** The version follows that of the event before for the key, and what is told of before is what was there. */
export function checkPrevious(watcher: Watcher, { before, versionOf }: Truth): string[] {
  return eventsOf(watcher).flatMap((event) => {
    const last = before.get(placeOf(event))
    const faults: string[] = []
    const version = versionOf(event, last)
    if (event.version !== version) {
      faults.push(`${describe(event)} has version ${event.version} where ${version} follows`)
    }
    if (event.previous === undefined) return faults
    const right = last?.kind === 'put' ? last : null
    const [told, was] = [describeValue(event.previous), describeValue(right)]
    if (told !== was) faults.push(`${describe(event)} was told to follow ${told}, not ${was}`)
    return faults
  })
}

/** An event says that it created its key exactly when the key was not there. */
export function checkCreated(watcher: Watcher, { before }: Truth): string[] {
  return eventsOf(watcher).flatMap((event) => {
    const last = before.get(placeOf(event))
    const wasThere = last?.kind === 'put'
    if (event.created === (event.kind === 'put' && !wasThere)) return []
    const told = event.created
      ? 'says that it created its key'
      : 'does not say that it created its key'
    return `${describe(event)} ${told}, ${wasThere ? 'which was there' : 'which was not there'}`
  })
}
