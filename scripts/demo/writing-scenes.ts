import { randomUUID } from 'node:crypto'
import { type Client, expectStatus } from './client.ts'
import { readDataFile, writeDataFile, writeDataFiles } from './data-files.ts'
import { couponColumn, orderColumns, partitionColumns, placeOrders } from './orders.ts'
import type { Row } from './parquet.ts'
import {
  type Committed,
  commitOnHead,
  commitsPath,
  listFiles,
  type Proposal,
  type Receipt,
  removeOf,
  type Stage,
} from './stage.ts'
import type { Story } from './story.ts'

const engineInfoOf = ({ name }: Client) => `demo ${name}`

/** Creates the table and answers what the next scenes need to know of it. */
export async function createTable(
  story: Story,
  client: Client,
): Promise<Pick<Stage, 'table' | 'layout' | 'changes'>> {
  story.scene('Create a table, partitioned by day and region')
  const definition = {
    name: 'sales.orders',
    partitionColumns,
    schema: { type: 'struct', fields: orderColumns },
  }
  const answer = await client.post<{ id: string; location: string }>('/tables', definition)
  const { body } = expectStatus(answer, 201)
  story.exchange('POST /tables', definition, answer)
  story.line(`Its folder is ${body.location}.`)
  return {
    table: { id: body.id, name: definition.name },
    layout: { location: body.location, columns: orderColumns, partitionColumns },
    changes: [{ version: 0, operation: 'CREATE TABLE', columns: orderColumns }],
  }
}

/** Commits new orders as a blind append: whatever came between, it becomes the next version. */
async function appendOrders(stage: Stage, client: Client, rows: readonly Row[]) {
  const key = randomUUID()
  const written = await writeDataFiles(stage.layout, rows)
  const proposal: Proposal = {
    operation: 'WRITE',
    engineInfo: engineInfoOf(client),
    operationParameters: { mode: 'Append' },
    actions: written.map(({ add }) => ({ add })),
  }
  const send = async () =>
    expectStatus(
      await client.post<Receipt>(commitsPath(stage), proposal, { 'idempotency-key': key }),
      201,
    )
  const answer = await send()
  stage.changes.push({ version: answer.body.version, operation: 'WRITE', added: written })
  return { proposal, answer, send }
}

/** Four shops append two batches each, all at the same time. Answers the newest version. */
export async function appendAtOnce(stage: Stage): Promise<number> {
  const { story, clients } = stage
  story.scene('Four clients append Parquet files at once, each twice')
  const shops = [clients.web, clients.store, clients.app, clients.market]
  const appends = await Promise.all(
    shops.flatMap((client, index) =>
      [0, 1].map(async (batch) => ({
        client,
        ...(await appendOrders(stage, client, placeOrders(index + 1, batch))),
      })),
    ),
  )
  const [first] = appends
  if (first) story.exchange(`POST ${commitsPath(stage)}`, first.proposal, first.answer)
  story.line('None names a version it expects, so none is refused:')
  const inOrder = appends.toSorted((a, b) => a.answer.body.version - b.answer.body.version)
  story.table(
    inOrder.map(({ client, answer }) => [
      `version ${answer.body.version}`,
      client.name,
      `${answer.body.numAddedFiles} files`,
    ]),
  )
  if (first) await repeat(stage, first)
  return inOrder.at(-1)?.answer.body.version ?? 0
}

/** A client that never saw its answer asks again, and must get the first one. */
async function repeat({ story }: Stage, append: Awaited<ReturnType<typeof appendOrders>>) {
  story.line('One of them never saw its answer and sends the same request again:')
  const again = await append.send()
  const replayed = again.headers.get('idempotency-replayed') === 'true'
  if (!replayed || again.body.version !== append.answer.body.version) {
    throw new Error(`the repeated append was applied again: ${JSON.stringify(again.body)}`)
  }
  story.answer({ ...again, note: 'Idempotency-Replayed: true' })
}

const returnedOrder = '100'

/** One client takes an order out while two others append. */
export async function deleteWhileAppending(stage: Stage): Promise<void> {
  const { story, clients } = stage
  story.scene(`One client deletes order ${returnedOrder} while two append`)
  const [committed] = await Promise.all([
    commitOnHead(stage, clients.office, async (version) => {
      const memory = await rewriteWithout(stage, version, returnedOrder)
      const proposal = {
        operation: 'DELETE',
        engineInfo: engineInfoOf(clients.office),
        operationParameters: { predicate: JSON.stringify([`id = ${returnedOrder}`]) },
        actions: [removeOf(memory.from, true), { add: memory.rest.add }],
      }
      return { proposal, memory }
    }),
    appendOrders(stage, clients.web, placeOrders(1, 2)),
    appendOrders(stage, clients.store, placeOrders(2, 2)),
  ])
  tellCommitted(stage, 'the delete', committed)
  const { from, rest } = committed.memory
  stage.changes.push({
    version: committed.answer.body.version,
    operation: 'DELETE',
    added: [rest],
    removedPaths: [from.path],
  })
}

async function rewriteWithout(stage: Stage, version: number, id: string) {
  for (const from of await listFiles(stage, version)) {
    const rows = await readDataFile(stage.layout, from)
    const rest = rows.filter((row) => row['id'] !== id)
    if (rest.length < rows.length) return { from, rest: await writeDataFile(stage.layout, rest) }
  }
  throw new Error(`no live file holds order ${id}`)
}

function tellCommitted(stage: Stage, what: string, committed: Committed<unknown>): void {
  const { story } = stage
  const { proposal, answer, refusals } = committed
  const [first] = refusals
  if (first) {
    const often = refusals.length === 1 ? 'once' : `${refusals.length} times`
    story.line(`Others were faster, so ${what} was refused, ${often}:`)
    story.answer(first)
    story.line('It read the table again, decided again, and:')
  }
  story.exchange(`POST ${commitsPath(stage)}`, proposal, answer)
}

interface Metadata {
  schemaString: string
}

/** Two clients want the same new column: one adds it, the other is refused and finds it there. */
export async function changeSchemaAtOnce(stage: Stage): Promise<void> {
  const { story, clients, table } = stage
  story.scene('Two clients add the same column at once: exactly one does')
  const snapshotPath = `/tables/${table.name}/snapshot`
  const { version, metadata } = await clients.app.get<{ version: number; metadata: Metadata }>(
    snapshotPath,
  )
  const columns = [...stage.layout.columns, couponColumn]
  const schemaString = JSON.stringify({ type: 'struct', fields: columns })
  const answers = await Promise.all(
    [clients.app, clients.market].map(async (client) => {
      const proposal: Proposal = {
        expectedVersion: version + 1,
        operation: 'ADD COLUMNS',
        engineInfo: engineInfoOf(client),
        operationParameters: { columns: JSON.stringify([{ column: couponColumn }]) },
        actions: [{ metaData: { ...metadata, schemaString } }],
      }
      return { client, proposal, answer: await client.post<Receipt>(commitsPath(stage), proposal) }
    }),
  )
  const winners = answers.filter(({ answer }) => answer.status === 201)
  const [loser] = answers.filter(({ answer }) => answer.status === 409)
  if (winners.length !== 1 || loser === undefined) {
    throw new Error(`one of two should win: ${JSON.stringify(answers.map((one) => one.answer))}`)
  }
  for (const { proposal, answer } of [...winners, loser]) {
    story.exchange(`POST ${commitsPath(stage)}`, proposal, answer)
  }
  const { metadata: now } = await loser.client.get<{ metadata: Metadata }>(snapshotPath)
  if (now.schemaString !== schemaString) throw new Error(`the schema is ${now.schemaString}`)
  story.line(`The ${loser.client.name} reads the table again and finds the column there.`)
  stage.changes.push({ version: version + 1, operation: 'ADD COLUMNS', columns })
  stage.layout = { ...stage.layout, columns }
}

/** Two clients append files that have the new column. */
export async function appendWithNewColumn(stage: Stage): Promise<void> {
  const { story, clients } = stage
  story.scene('Two clients append files that have the new column')
  const withCoupons = (rows: Row[]) =>
    rows.map((row, index) => ({ ...row, coupon: index % 2 === 0 ? `STORM-${row['id']}` : null }))
  const appends = await Promise.all([
    appendOrders(stage, clients.app, withCoupons(placeOrders(3, 3))),
    appendOrders(stage, clients.market, withCoupons(placeOrders(4, 3))),
  ])
  for (const { proposal, answer } of appends) {
    story.exchange(`POST ${commitsPath(stage)}`, proposal, answer)
  }
}

const compacted = { day: '2026-11-18', region: 'Zeeland' }

/** One client puts the small files of a partition together while two others append. */
export async function compactWhileAppending(stage: Stage): Promise<void> {
  const { story, clients } = stage
  story.scene(`One client compacts ${compacted.day}, ${compacted.region}, while two append`)
  const [committed] = await Promise.all([
    commitOnHead(stage, clients.office, async (version) => {
      const memory = await compact(stage, version)
      const { small, whole } = memory
      const proposal = {
        operation: 'OPTIMIZE',
        engineInfo: engineInfoOf(clients.office),
        operationParameters: { predicate: JSON.stringify([`day = '${compacted.day}'`]) },
        actions: [
          ...small.map((file) => removeOf(file, false)),
          { add: { ...whole.add, dataChange: false } },
        ],
      }
      return { proposal, memory }
    }),
    appendOrders(stage, clients.web, placeOrders(1, 5)),
    appendOrders(stage, clients.store, placeOrders(2, 5)),
  ])
  tellCommitted(stage, 'the compaction', committed)
  const { small, whole } = committed.memory
  story.line(`${small.length} files became one; no row has changed (dataChange: false).`)
  stage.changes.push({
    version: committed.answer.body.version,
    operation: 'OPTIMIZE',
    added: [whole],
    removedPaths: small.map(({ path }) => path),
  })
}

async function compact(stage: Stage, version: number) {
  const files = await listFiles(stage, version)
  const small = files.filter(
    ({ partitionValues: { day, region } }) => day === compacted.day && region === compacted.region,
  )
  const rows = await Promise.all(small.map((file) => readDataFile(stage.layout, file)))
  return { small, whole: await writeDataFile(stage.layout, rows.flat()) }
}
