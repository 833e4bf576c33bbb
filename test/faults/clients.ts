import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, add, remove } from '../support/api.ts'
import { passing } from './check-run.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'
import type {
  RecordedCommit,
  RecordedRead,
  RecordedRun,
  SentAction,
  SentProposal,
} from './recorded-run.ts'

/** Clients that read and commit without pause, and note all that they ask and are told. */
export interface Clients extends Pick<Pace, 'progress' | 'end'> {
  run: RecordedRun
  /** Answers that no client should ever get. */
  surprises: readonly string[]
}

/** A table as a client has last seen it. */
interface View {
  version: number
  paths: string[]
}

interface Client {
  api: Api
  pace: Pace
  number: number
  views: Map<string, View>
  /** The versions of its app that it has used. */
  appVersion: number
}

const parts = ['0', '1', '2', '3']
const domains = ['d', 'e']
const retryMs = 30
/** A table with more files loses more than it gets. */
const filesEnough = 60

/** Definition of the tables that clients commit to. */
export const definition = {
  schema: {
    type: 'struct',
    fields: ['id', 'part'].map((name) => ({
      ...{ name, nullable: true, metadata: {} },
      type: name === 'id' ? 'long' : 'string',
    })),
  },
  partitionColumns: ['part'],
  protocol: {
    minReaderVersion: 1,
    minWriterVersion: 7,
    writerFeatures: ['inCommitTimestamp', 'domainMetadata'],
  },
}

/** Starts that many clients, shared out among the servers. */
export function startClients(
  servers: readonly Api[],
  { tables, count }: { tables: readonly string[]; count: number },
): Clients {
  const run: RecordedRun = { commits: [], reads: [] }
  const surprises: string[] = []

  async function read(
    { api, views }: Client,
    asked: Pick<RecordedRead, 'table' | 'kind' | 'version'>,
  ) {
    const begin = performance.now()
    const answer = await api.get(addressOf(asked)).catch(() => undefined)
    if (answer?.status !== 200) {
      if (answer !== undefined && !passing.includes(answer.body?.code)) surprises.push(answer.text)
      await sleep(retryMs)
      return
    }
    run.reads.push({ ...asked, begin, end: performance.now(), body: answer.text })
    if (asked.kind !== 'files') return answer.body
    const paths = answer.body.items.map((item: SentAction) => item['add'].path)
    views.set(asked.table, { version: answer.body.version, paths })
  }

  async function attempt({ api, pace }: Client, commit: RecordedCommit): Promise<boolean> {
    const { table, key, proposal, attempts } = commit
    const begin = performance.now()
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    const answer = await api.commit(table, proposal, headers).catch(() => undefined)
    const end = performance.now()
    if (answer === undefined) {
      attempts.push({ begin, end: Number.POSITIVE_INFINITY })
      return false
    }
    attempts.push({ begin, end, status: answer.status, body: answer.text })
    const isPassing = passing.includes(answer.body?.code)
    if (![200, 201, 409].includes(answer.status) && !isPassing) surprises.push(answer.text)
    if (answer.status === 201) pace.count()
    return !isPassing
  }

  /** Repeats what can be repeated without harm until it has its verdict; sometimes more often than that. */
  async function settle(client: Client, commit: RecordedCommit): Promise<void> {
    const { key, proposal } = commit
    const isRepeatable = key !== undefined || proposal.idempotency !== undefined
    while (!(await attempt(client, commit)) && isRepeatable) await sleep(retryMs)
    if (isRepeatable && Math.random() < 0.2) await attempt(client, commit)
  }

  async function runClient(client: Client): Promise<void> {
    while (!client.pace.isEnded()) {
      const table = pick(tables)
      const view = client.views.get(table)
      if (view === undefined || Math.random() < 0.4) await read(client, { table, kind: 'files' })
      else if (Math.random() < 0.3) await readSome(client, { table, view })
      else await commitSome(client, { table, view })
      await sleep(Math.random() * 40)
    }
  }

  async function readSome(client: Client, { table, view }: { table: string; view: View }) {
    const kind = pick(['snapshot', 'history', 'commit', 'files'] as const)
    const isOld = kind === 'commit' || (kind !== 'history' && Math.random() < 0.5)
    const version = Math.floor(Math.random() * (view.version + 1))
    if (isOld) await readOld(client, { table, kind, version })
    else await read(client, { table, kind })
  }

  async function commitSome(client: Client, { table, view }: { table: string; view: View }) {
    const isRenaming = Math.random() < 0.01
    const proposal = isRenaming
      ? renaming(await read(client, { table, kind: 'snapshot' }))
      : propose(client, view)
    if (proposal === undefined) return
    const hasKey = proposal.idempotency === undefined && Math.random() < 0.5
    const commit = { table, ...(hasKey && { key: randomUUID() }), proposal, attempts: [] }
    run.commits.push(commit)
    await settle(client, commit)
  }

  /** What a client reads of the past leaves what it knows of the newest as it is. */
  const readOld = (client: Client, asked: Pick<RecordedRead, 'table' | 'kind' | 'version'>) =>
    read({ ...client, views: new Map() }, asked)

  const { progress, end } = startClientsAt(count, (pace, number) => {
    const api = servers[number % servers.length]
    if (api === undefined) throw new Error('there is no server')
    return runClient({ api, pace, number, views: new Map(), appVersion: 0 })
  })
  return { run, surprises, progress, end }
}

function addressOf({ table, kind, version }: Pick<RecordedRead, 'table' | 'kind' | 'version'>) {
  const query = version === undefined ? '' : `&version=${version}`
  switch (kind) {
    case 'snapshot':
      return `/tables/${table}/snapshot${query.replace('&', '?')}`
    case 'files':
      return `/tables/${table}/files?limit=1000${query}`
    case 'history':
      return `/tables/${table}/commits?limit=20`
    case 'commit':
      return `/tables/${table}/commits/${version}`
  }
}

/** Something that a writer may want who has seen the table like this. */
function propose(client: Client, { version, paths }: View): SentProposal {
  const isolationLevel = pick(['Serializable', 'WriteSerializable', 'SnapshotIsolation'] as const)
  const read = { readVersion: version, isolationLevel }
  const some = sample(paths, paths.length > filesEnough ? 6 : 2)
  const rewritten = [...some.map((path) => remove(path)), addNew()]
  const kinds: (() => SentProposal)[] = [
    () => ({ operation: 'WRITE', actions: [addNew(), addNew()] }),
    () => ({ operation: 'WRITE', expectedVersion: version + 1, actions: [addNew()] }),
    () => ({ ...read, operation: 'DELETE', reads: { files: some }, actions: rewritten }),
    () => ({
      ...read,
      operation: 'UPDATE',
      reads: { predicates: [isIn(pick(parts))] },
      actions: rewritten,
    }),
    () => ({
      ...read,
      operation: 'WRITE',
      reads: { predicates: [isIn(pick(parts))] },
      actions: [addNew()],
    }),
    () => ({ ...read, operation: 'MERGE', reads: { wholeTable: true }, actions: rewritten }),
    () => ({
      ...read,
      operation: 'OPTIMIZE',
      reads: { files: some },
      actions: [
        ...some.map((path) => remove(path, { dataChange: false })),
        addNew({ dataChange: false }),
      ],
    }),
    () => ({
      operation: 'WRITE',
      idempotency: { appId: `client-${client.number}`, version: client.appVersion++ },
      actions: [addNew()],
    }),
    () => ({
      ...read,
      operation: 'WRITE',
      reads: { appIds: ['shared'], domains: sample(domains, 1) },
      actions: [addNew(), pick([txn(version), domain(pick(domains))])],
    }),
  ]
  return pick(kinds)()
}

/** A new name for the table, which no other writer may overlook. */
function renaming(
  snapshot: { version: number; metadata: object } | undefined,
): SentProposal | undefined {
  if (snapshot === undefined) return undefined
  const metaData = { ...snapshot.metadata, name: randomUUID() }
  const actions = [{ metaData }, addNew()]
  return { readVersion: snapshot.version, operation: 'SET TBLPROPERTIES', actions }
}

function addNew(more: object = {}): SentAction {
  const part = pick(parts)
  return add(`${part}/${randomUUID()}.parquet`, { partitionValues: { part }, ...more })
}

const txn = (version: number) => ({ txn: { appId: 'shared', version } })
const domain = (name: string) => ({
  domainMetadata: { domain: name, configuration: randomUUID(), removed: false },
})

function isIn(part: string) {
  const column = { op: 'column', name: 'part', valueType: 'string' }
  return { op: 'equal', children: [column, { op: 'literal', value: part, valueType: 'string' }] }
}

function sample<Item>(items: readonly Item[], count: number): Item[] {
  const start = Math.floor(Math.random() * items.length)
  return items.slice(start, start + count)
}
