import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { add, remove, type TestAnswer } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, { heldActionsMax: 4 }, { mirror: false })
/** Histories of random transactions. */
const numRuns = Number(process.env['TRANSACTION_RUNS'] ?? 40)

t.setTimeout(60_000 + numRuns * 6000)

/** One table's share in a random transaction; `off` is by how much its expected version is wrong. */
interface RandomPart {
  table: number
  off: number | undefined
  adds: string[]
  removes: string[]
  app: number | undefined
}

const paths = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 2 })
const part: fc.Arbitrary<RandomPart> = fc
  .record({
    table: fc.integer({ min: 0, max: 2 }),
    off: fc.option(fc.constantFrom(0, 0, 0, 1, -1), { nil: undefined }),
    adds: paths,
    removes: paths,
    app: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined, freq: 2 }),
  })
  .map((one) => ({ ...one, removes: one.removes.filter((path) => !one.adds.includes(path)) }))
const parts = fc.uniqueArray(part, {
  minLength: 1,
  maxLength: 3,
  // Now and then a table stands there twice.
  comparator: (one, other) => one.table === other.table && one.app !== 2,
})

/** How a part comes to a transaction that is staged. */
const ways = [
  'begun with',
  'put',
  'put over another',
  'put again',
  'in pieces',
  'in lines',
] as const

/** A transaction that is one request, or with the way of each part and what becomes of it in the end. */
interface RandomTransaction {
  parts: RandomPart[]
  staged: { ways: (typeof ways)[number][]; rollsBack: boolean } | undefined
}

const transaction: fc.Arbitrary<RandomTransaction> = fc.record({
  parts,
  staged: fc.option(
    fc.record({
      ways: fc.array(fc.constantFrom(...ways), { minLength: 3, maxLength: 3 }),
      rollsBack: fc.nat({ max: 4 }).map((one) => one === 0),
    }),
    { nil: undefined, freq: 2 },
  ),
})

interface ModelTable {
  version: number
  files: Set<string>
  app: number
}

interface Model {
  tables: ModelTable[]
  /** The versions that all tables had after each transaction. */
  after: { id: string; versions: number[] }[]
}

const isEmpty = ({ adds, removes, app }: RandomPart) =>
  adds.length + removes.length === 0 && app === undefined

/** Why the transaction is refused, as slowly and plainly as it can be said. */
function refusalOf({ tables }: Model, parts: readonly RandomPart[]): string | undefined {
  if (parts.some(isEmpty)) return 'invalid-transaction'
  for (const [index, { table, off, app }] of parts.entries()) {
    if (parts.slice(0, index).some((other) => other.table === table)) return 'invalid-request'
    if (app !== undefined && (tables[table]?.app ?? 0) >= app) continue
    if (off !== undefined && off !== 0) return 'version-conflict'
  }
  return undefined
}

/** Does what is left of a transaction that is not refused; answers the status of each table. */
function apply({ tables }: Model, parts: readonly RandomPart[]): ('committed' | 'duplicate')[] {
  return parts.map(({ table, adds, removes, app }) => {
    const own = tables[table]
    if (own === undefined) throw new Error('there are three tables')
    if (app !== undefined && own.app >= app) return 'duplicate'
    for (const path of removes) own.files.delete(path)
    for (const path of adds) own.files.add(path)
    own.app = app ?? own.app
    own.version += 1
    return 'committed'
  })
}

function proposalsOf({ tables }: Model, ids: readonly string[], parts: readonly RandomPart[]) {
  return parts.map(({ table, off, adds, removes, app }) => ({
    table: ids[table] ?? '',
    ...(off !== undefined && {
      expectedVersion: Math.max(0, (tables[table]?.version ?? 0) + 1 + off),
    }),
    ...(app !== undefined && { idempotency: { appId: 'app', version: app } }),
    actions: [...removes.map((path) => remove(path)), ...adds.map((path) => add(path))],
  }))
}

type Proposed = ReturnType<typeof proposalsOf>[number]

async function send(method: string, path: string, json?: unknown): Promise<TestAnswer> {
  const answer = await server.call(method, path, { json })
  if (answer.status >= 300) throw new Error(`${path}: ${answer.text}`)
  return answer
}

/** Stages a part in a transaction that is begun, in its way. */
async function stagePart(begun: string, { table, ...proposal }: Proposed, way: string) {
  const address = `${begun}/tables/${table}`
  const { actions, ...fields } = proposal
  if (way === 'put over another') {
    await send('PUT', address, { expectedVersion: 99, actions: [add('never')] })
  }
  if (way === 'put again') {
    await send('PUT', address, { actions: [add('never')] })
    await send('DELETE', address)
  }
  if (way === 'put' || way === 'put over another' || way === 'put again') {
    await send('PUT', address, proposal)
    return
  }
  await send('PUT', address, fields)
  if (way === 'in lines' && actions.length > 0) {
    const raw = actions.map((action) => JSON.stringify(action)).join('\n')
    const headers = { 'content-type': 'application/x-ndjson' }
    await server.call('POST', `${address}/actions`, { raw, headers })
    return
  }
  for (const action of actions) await send('POST', `${address}/actions`, [action])
}

/** Stages the parts and commits them; what is refused is then rolled back. */
async function commitStaged(
  parts: readonly Proposed[],
  { ways, rollsBack }: NonNullable<RandomTransaction['staged']>,
): Promise<TestAnswer | undefined> {
  const isFirst = (_: unknown, at: number) => ways[at] === 'begun with'
  const first = parts.filter(isFirst)
  const { body } = await send('POST', '/transactions', first.length > 0 ? { tables: first } : {})
  const begun = `/transactions/${body.id}`
  await Promise.all(
    parts.map((part, at) =>
      first.includes(part) ? undefined : stagePart(begun, part, ways[at] ?? 'put'),
    ),
  )
  if (rollsBack) {
    deepStrictEqual((await send('POST', `${begun}/rollback`)).body.state, 'rolled-back')
    return undefined
  }
  const answer = await server.post(`${begun}/commit`)
  const again = await server.call('POST', `${begun}/${answer.status < 300 ? 'commit' : 'rollback'}`)
  deepStrictEqual(again.status, 200)
  if (answer.status < 300) deepStrictEqual(again.body, answer.body)
  return answer
}

/** A table is staged once: what is staged last stands. */
function lastOfEach(parts: readonly RandomPart[]): RandomPart[] {
  return [...new Map(parts.map((part) => [part.table, part])).values()]
}

async function compareTables(ids: readonly string[], { tables }: Model): Promise<void> {
  const lists = await Promise.all(ids.map((id) => server.get(`/tables/${id}/files`)))
  for (const [at, { version, files }] of tables.entries()) {
    const { body } = lists[at] ?? { body: undefined }
    const found = body.items.map((item: { add: { path: string } }) => item.add.path)
    deepStrictEqual([body.version, found.sort()], [version, [...files].sort()])
  }
}

/** What the runs have met. */
const seen = { committed: 0, duplicate: 0, staged: 0, rolledBack: 0, refused: new Set<string>() }

async function step(model: Model, ids: readonly string[], random: RandomTransaction) {
  const { staged } = random
  const parts = staged === undefined ? random.parts : lastOfEach(random.parts)
  const tables = proposalsOf(model, ids, parts)
  const answer =
    staged === undefined
      ? await server.post('/transactions', { commit: true, tables })
      : await commitStaged(tables, staged)
  if (answer === undefined) {
    seen.rolledBack += 1
    return
  }
  const { status, body } = answer
  const refusal = refusalOf(model, parts)
  deepStrictEqual([status < 300, body.code], [refusal === undefined, refusal], body.detail)
  if (refusal !== undefined) {
    seen.refused.add(refusal)
    return
  }
  const statuses = apply(model, parts)
  const told: { tableId: string; status: string }[] = body.tables
  const statusOf = new Map(told.map(({ tableId, status }) => [tableId, status]))
  deepStrictEqual(
    tables.map(({ table }) => statusOf.get(table)),
    statuses,
  )
  for (const one of statuses) seen[one] += 1
  if (staged !== undefined) seen.staged += 1
  if (!statuses.includes('committed')) return
  model.after.push({ id: body.id, versions: model.tables.map(({ version }) => version) })
}

async function compareViews(ids: readonly string[], { after }: Model): Promise<void> {
  for (const { id: transactionId, versions } of after) {
    const { body } = await server.post('/snapshots', { tables: ids, transactionId })
    const found = body.tables.map(({ version }: { version: number }) => version)
    deepStrictEqual(found, versions)
  }
}

t.test('random transactions do what a slow model says, and nothing else', async (t) => {
  const histories = fc.array(transaction, { minLength: 1, maxLength: 8 })
  const property = fc.asyncProperty(histories, async (transactions) => {
    const ids = await Promise.all([1, 2, 3].map(() => server.makeTable()))
    const tables = ids.map(() => ({ version: 0, files: new Set<string>(), app: 0 }))
    const model: Model = { tables, after: [] }
    for (const random of transactions) {
      await step(model, ids, random)
      await compareTables(ids, model)
    }
    await compareViews(ids, model)
  })
  const twice = { table: 0, off: undefined, adds: ['a'], removes: [], app: 2 }
  const examples: [RandomTransaction[]][] = [[[{ parts: [twice, twice], staged: undefined }]]]
  await fc.assert(property, { numRuns, examples })
  t.ok(seen.committed > 50, `${seen.committed} commits`)
  t.ok(seen.duplicate > 0, `${seen.duplicate} duplicates`)
  t.ok(seen.staged > 0, `${seen.staged} staged transactions`)
  t.ok(seen.rolledBack > 0, `${seen.rolledBack} rolled back`)
  const kinds = ['invalid-request', 'invalid-transaction', 'version-conflict']
  t.strictSame([...seen.refused].sort(), kinds, 'every kind of refusal was met')
})
