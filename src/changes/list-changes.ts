import type { Db } from '../database/connect.ts'
import { actionBody, memberSources } from '../delta/json.ts'
import { memberTexts, objectText } from '../http/json-text.ts'
import type { Page } from '../http/lists.ts'
import { getActionInForce } from '../snapshots/queries.ts'
import {
  beforeChanges,
  type ChangePlace,
  countFileChanges,
  type FileChangeCounts,
  listChanges,
  type PlacedChange,
  sectionsCount,
  type VersionSpan,
} from './queries.ts'
import { type Change, definitionChanges } from './rules.ts'

/** The place of a change in the list of all, and what all its pages tell. */
export interface ChangesPlace extends ChangePlace, FileChangeCounts {
  /** The version up to which the list goes. */
  to: number
  section: number
}

/** The page of changes behind a place, or the first. */
export async function readChangesPage(
  db: Db,
  span: VersionSpan,
  { place, limit }: { place: ChangesPlace | undefined; limit: number },
): Promise<Page<ChangesPlace>> {
  const counts = place ?? (await countFileChanges(db, span))
  const changes = await readChanges(db, span, {
    section: place?.section ?? 0,
    after: place ?? beforeChanges(span),
    limit: limit + 1,
    hasReplaced: counts.numReplacedFiles > 0,
  })
  const kept = changes.slice(0, limit)
  const last = changes.length > limit ? kept.at(-1) : undefined
  const { numAddedFiles, numRemovedFiles, numAddedBytes, numRemovedBytes } = counts
  const { from, to } = span
  const told = { from, to, numAddedFiles, numRemovedFiles }
  return {
    items: kept.map(lineOf),
    next: last && { ...pickCounts(counts), to, section: last.section, ...placeOf(last) },
    members: {
      ...memberTexts(told),
      numAddedBytes,
      numRemovedBytes,
      ...(await definitionMembers(db, span)),
    },
  }
}

interface SectionedChange extends PlacedChange {
  section: number
}

async function readChanges(
  db: Db,
  span: VersionSpan,
  begin: { section: number; after: ChangePlace; limit: number; hasReplaced: boolean },
): Promise<SectionedChange[]> {
  const { limit, hasReplaced } = begin
  const changes: SectionedChange[] = []
  for (let { section, after } = begin; section < sectionsCount; section += 1) {
    const rest = limit - changes.length
    if (rest <= 0) break
    const found = await listChanges(db, span, { section, after, limit: rest, hasReplaced })
    for (const change of found) changes.push({ ...change, section })
    after = beforeChanges(span)
  }
  return changes
}

function placeOf({ x, y, z }: ChangePlace): ChangePlace {
  return { x, y, z }
}

function pickCounts(counts: FileChangeCounts): FileChangeCounts {
  const { numAddedFiles, numRemovedFiles, numAddedBytes, numRemovedBytes, numReplacedFiles } =
    counts
  return { numAddedFiles, numRemovedFiles, numAddedBytes, numRemovedBytes, numReplacedFiles }
}

/** What of an add a remove repeats (PROTOCOL.md, "Add File and Remove File"). */
const repeated = [
  'partitionValues',
  'size',
  'stats',
  'tags',
  'deletionVector',
  'baseRowId',
  'defaultRowCommitVersion',
]

/** The log line of a change; where the log has none, for the file was added anew and is gone since, one made of its add. */
function lineOf({ line, add = '', removedAt }: PlacedChange): string {
  if (line !== null) return line
  const members = memberSources(actionBody(add))
  const remove = objectText({
    path: members.get('path'),
    ...memberTexts({ deletionTimestamp: removedAt, dataChange: true, extendedFileMetadata: true }),
    ...Object.fromEntries(repeated.map((name) => [name, members.get(name)])),
  })
  return objectText({ remove })
}

async function definitionMembers(db: Db, { tableId, from, to }: VersionSpan) {
  const [before, after] = await Promise.all(
    [from, to].map(async (version) => {
      const [protocol, metadata] = await Promise.all([
        getActionInForce(db, { tableId, version }, 'protocol'),
        getActionInForce(db, { tableId, version }, 'metaData'),
      ])
      return { protocol: actionBody(protocol), metadata: JSON.parse(metadata).metaData }
    }),
  )
  if (before === undefined || after === undefined) throw new Error('a span has two ends')
  const { protocol, schema, partitionColumns, properties } = definitionChanges(before, after)
  return {
    protocol: changeText(protocol),
    schema: changeText(schema),
    partitionColumns: changeText(partitionColumns),
    ...memberTexts({ properties }),
  }
}

function changeText(change: Change | undefined): string | undefined {
  return change && objectText({ from: change.from, to: change.to })
}
