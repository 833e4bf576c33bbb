import { type Answer, type Client, expectStatus, type ProblemBody } from './client.ts'
import { type AddFile, readDataFile, type TableLayout } from './data-files.ts'
import type { Change } from './ledger.ts'
import type { Row } from './parquet.ts'
import type { Story } from './story.ts'

/** What all scenes play on: one table, its clients, and what they did so far. */
export interface Stage {
  story: Story
  clients: Record<'web' | 'store' | 'app' | 'market' | 'office', Client>
  /** Answered by the service when the table was created. */
  table: { id: string; name: string }
  layout: TableLayout
  changes: Change[]
}

export interface Receipt {
  version: number
  inCommitTimestamp: number
  numAddedFiles: number
  numRemovedFiles: number
}

/** A proposal of a commit. */
export interface Proposal {
  operation: string
  engineInfo: string
  expectedVersion?: number
  operationParameters?: Record<string, unknown>
  actions: readonly object[]
}

export const commitsPath = ({ table }: Stage) => `/tables/${table.name}/commits`

/** The remove action of a file that is live. */
export function removeOf({ path, partitionValues, size }: AddFile, dataChange: boolean) {
  const deletionTimestamp = Date.now()
  return {
    remove: {
      path,
      deletionTimestamp,
      dataChange,
      extendedFileMetadata: true,
      partitionValues,
      size,
    },
  }
}

/** Live files at a version, all pages. */
export async function listFiles(stage: Stage, version: number): Promise<AddFile[]> {
  const { web } = stage.clients
  const files: AddFile[] = []
  for (let cursor = ''; ; ) {
    const page = await web.get<{ items: { add: AddFile }[]; nextCursor?: string }>(
      `/tables/${stage.table.name}/files?version=${version}${cursor}`,
    )
    files.push(...page.items.map(({ add }) => add))
    if (page.nextCursor === undefined) return files
    cursor = `&cursor=${page.nextCursor}`
  }
}

/** All rows at a version, read from the Parquet files that the service says are live. */
export async function readRows(stage: Stage, version: number): Promise<Row[]> {
  const files = await listFiles(stage, version)
  const rows = await Promise.all(files.map((file) => readDataFile(stage.layout, file)))
  return rows.flat()
}

/** What a client decides to commit on a version, and what of the decision it must remember. */
export interface Decision<Memory> {
  proposal: Proposal
  memory: Memory
}

/** A decision that was committed, and the refusals of those that came too late. */
export interface Committed<Memory> extends Decision<Memory> {
  answer: Answer<Receipt>
  refusals: Answer<ProblemBody>[]
}

const attemptsMax = 50

/**
 * Commits what `decide` makes of the newest version, as exactly the next one: refused when another client came
 * between, and decided again then.
 */
export async function commitOnHead<Memory>(
  stage: Stage,
  client: Client,
  decide: (version: number) => Promise<Decision<Memory>>,
): Promise<Committed<Memory>> {
  const refusals: Answer<ProblemBody>[] = []
  while (refusals.length < attemptsMax) {
    const { version } = await client.get<{ version: number }>(`/tables/${stage.table.name}`)
    const { proposal: decided, memory } = await decide(version)
    const proposal = { expectedVersion: version + 1, ...decided }
    const answer = await client.post<Receipt>(commitsPath(stage), proposal)
    if (answer.status !== 409) {
      return { proposal, memory, answer: expectStatus(answer, 201), refusals }
    }
    refusals.push(answer as Answer<ProblemBody>)
  }
  throw new Error(`${client.name} came too late ${attemptsMax} times`)
}
