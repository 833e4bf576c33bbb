import { commitFileName } from '../../src/delta/log-files.ts'

/** A commit that a client wanted, with what came of all its attempts. */
export interface Wish {
  /** Id of the table. */
  table: string
  /** The Idempotency-Key that every attempt carried. */
  key?: string
  expectedVersion?: number
  /** Paths of the files to add: at least one, and named by no other wish. */
  adds: readonly string[]
  /** Paths of files to remove that an earlier wish has added. */
  removes: readonly string[]
  /** The answers that settle the wish, in the order they came: 201s, and refusals that stand. */
  answers: WishAnswer[]
  /** Attempts that were not answered, or answered without a verdict. */
  open: number
}

export interface WishAnswer {
  status: number
  body: string
}

/** What is there in the end of one table. */
export interface TableEnd {
  id: string
  version: number
  /** Each commit as NDJSON, in the order of the versions as listed. */
  commits: readonly { version: number; lines: string }[]
  /** Paths of the live files. */
  files: readonly string[]
  /** What the folder `_delta_log` holds, but for checksums and checkpoints. */
  log: ReadonlyMap<string, string>
  mirror: { state: string; publishedVersion: number; pending: number }
}

/** A commit as it was read back. */
interface ReadCommit {
  version: number
  inCommitTimestamp: number
  adds: string[]
  removes: string[]
}

/**
 * Compares what clients were told with what is there, and answers every breach of the promises: versions without
 * gap, each 201 in its place, nothing twice, nothing from nowhere, timestamps that rise, and a log that holds
 * exactly the commits. Pure.
 */
export function checkHistory(wishes: readonly Wish[], tables: readonly TableEnd[]): string[] {
  return tables.flatMap((table) => {
    const own = wishes.filter((wish) => wish.table === table.id)
    const commits = table.commits.map(readCommit)
    const placesOf = indexByPath(commits)
    return [
      ...checkVersions(table, commits),
      ...checkFiles(table, commits),
      ...own.flatMap((wish) => [...checkAnswers(wish), ...checkEffect(wish, placesOf)]),
      ...checkOrigins(own, commits),
      ...checkLog(table),
      ...checkMirror(table),
    ].map((fault) => `table ${table.id}: ${fault}`)
  })
}

function readCommit({ version, lines }: { version: number; lines: string }): ReadCommit {
  const actions = lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
  return {
    version,
    inCommitTimestamp: actions[0]?.commitInfo?.inCommitTimestamp,
    adds: actions.flatMap(({ add }) => add?.path ?? []),
    removes: actions.flatMap(({ remove }) => remove?.path ?? []),
  }
}

/** The commits that add each path. */
function indexByPath(commits: readonly ReadCommit[]): Map<string, ReadCommit[]> {
  const entries = commits.flatMap((commit) => commit.adds.map((path) => ({ path, commit })))
  const groups = Map.groupBy(entries, ({ path }) => path)
  return new Map([...groups].map(([path, group]) => [path, group.map(({ commit }) => commit)]))
}

function checkVersions(table: TableEnd, commits: readonly ReadCommit[]): string[] {
  const faults: string[] = []
  for (const [index, { version, inCommitTimestamp }] of commits.entries()) {
    if (version !== index) faults.push(`version ${version} stands in the place of ${index}`)
    const before = commits[index - 1]?.inCommitTimestamp ?? 0
    if (!(inCommitTimestamp > before)) {
      faults.push(`inCommitTimestamp of version ${version} is ${inCommitTimestamp} after ${before}`)
    }
  }
  const newest = commits.at(-1)?.version
  if (newest !== table.version) faults.push(`the head is ${table.version}, the newest is ${newest}`)
  return faults
}

/** No file is added twice, and the live ones are those added and not removed. */
function checkFiles(table: TableEnd, commits: readonly ReadCommit[]): string[] {
  const faults: string[] = []
  const added = new Set<string>()
  const live = new Set<string>()
  for (const { version, adds, removes } of commits) {
    for (const path of removes) {
      if (!live.delete(path)) faults.push(`${path} is removed by version ${version} and not there`)
    }
    for (const path of adds) {
      if (added.has(path)) faults.push(`${path} is added again by version ${version}`)
      added.add(path)
      live.add(path)
    }
  }
  const listed = new Set(table.files)
  for (const path of live) {
    if (!listed.has(path)) faults.push(`${path} is not among the live files`)
  }
  for (const path of listed) {
    if (!live.has(path)) faults.push(`${path} is live though it should not be`)
  }
  if (listed.size !== table.files.length) faults.push('a live file is listed twice')
  return faults
}

/** Every attempt that is settled is settled in the same way. */
function checkAnswers({ key, adds, answers }: Wish): string[] {
  const [first] = answers
  return answers
    .filter(({ status, body }) => status !== first?.status || body !== first.body)
    .map(
      ({ status }) =>
        `${adds[0]} (key ${key}) was answered ${first?.status}, then other: ${status}`,
    )
}

/** What was answered 201 is there, once and whole, at its version; what was refused is not there. */
function checkEffect(wish: Wish, placesOf: ReadonlyMap<string, ReadCommit[]>): string[] {
  const { adds, removes, answers, expectedVersion } = wish
  const [name] = adds
  const found = [...new Set(adds.flatMap((path) => placesOf.get(path) ?? []))]
  const faults = found
    .filter((commit) => !equal(commit.adds, adds) || !equal(commit.removes, removes))
    .map(({ version }) => `version ${version} does not hold exactly the commit of ${name}`)
  if (found.length > 1) faults.push(`${name} was committed ${found.length} times`)
  const [answer] = answers
  const version = found[0]?.version
  if (answer?.status === 201) {
    const told = JSON.parse(answer.body).version
    if (version !== told) faults.push(`${name} was told version ${told} and is at ${version}`)
  } else if (answer !== undefined && found.length > 0 && !mayHaveWonUnheard(wish)) {
    faults.push(`${name} was answered ${answer.status} and is at ${version}`)
  }
  if (expectedVersion !== undefined && found.length > 0 && version !== expectedVersion) {
    faults.push(`${name} expected version ${expectedVersion} and is at ${version}`)
  }
  return faults
}

/** Without a key, a repetition conflicts with its own first attempt when the answer to that was lost. */
function mayHaveWonUnheard({ key, open }: Wish): boolean {
  return key === undefined && open > 0
}

/** Every commit but that of the table's making is one that a client wanted. */
function checkOrigins(wishes: readonly Wish[], commits: readonly ReadCommit[]): string[] {
  const wanted = new Set(wishes.flatMap((wish) => wish.adds))
  return commits
    .filter(({ version, adds }) => version > 0 && !adds.some((path) => wanted.has(path)))
    .map(({ version }) => `version ${version} was wanted by nobody`)
}

/** The log holds each commit, byte for byte, and nothing else. */
function checkLog({ commits, log }: TableEnd): string[] {
  const faults: string[] = []
  const names = new Set(commits.map(({ version }) => commitFileName(version)))
  for (const name of log.keys()) if (!names.has(name)) faults.push(`the log holds ${name}`)
  for (const { version, lines } of commits) {
    const text = log.get(commitFileName(version))
    if (text === undefined) faults.push(`the log lacks version ${version}`)
    else if (text !== lines) faults.push(`the log has other content for version ${version}`)
  }
  return faults
}

function checkMirror({ version, mirror }: TableEnd): string[] {
  const { state, publishedVersion, pending } = mirror
  return state === 'current' && publishedVersion === version && pending === 0
    ? []
    : [`the mirror is ${state} at ${publishedVersion} of ${version}, ${pending} pending`]
}

function equal(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index])
}
