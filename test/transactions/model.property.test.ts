import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const server = await startTestServer(t, {}, { mirror: false })

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
const transaction = fc.uniqueArray(part, {
  minLength: 1,
  maxLength: 3,
  // Now and then a table stands there twice.
  comparator: (one, other) => one.table === other.table && one.app !== 2,
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

function bodyOf({ tables }: Model, ids: readonly string[], parts: readonly RandomPart[]) {
  return {
    commit: true,
    tables: parts.map(({ table, off, adds, removes, app }) => ({
      table: ids[table],
      ...(off !== undefined && {
        expectedVersion: Math.max(0, (tables[table]?.version ?? 0) + 1 + off),
      }),
      ...(app !== undefined && { idempotency: { appId: 'app', version: app } }),
      actions: [...removes.map((path) => remove(path)), ...adds.map((path) => add(path))],
    })),
  }
}

async function compareTables(ids: readonly string[], { tables }: Model): Promise<void> {
  for (const [at, { version, files }] of tables.entries()) {
    const { body } = await server.get(`/tables/${ids[at]}/files`)
    const found = body.items.map((item: { add: { path: string } }) => item.add.path)
    deepStrictEqual([body.version, found.sort()], [version, [...files].sort()])
  }
}

/** What the runs have met. */
const seen = { committed: 0, duplicate: 0, refused: new Set<string>() }

async function step(model: Model, ids: readonly string[], parts: readonly RandomPart[]) {
  const { status, body } = await server.post('/transactions', bodyOf(model, ids, parts))
  const refusal = refusalOf(model, parts)
  deepStrictEqual([status === 201, body.code], [refusal === undefined, refusal], body.detail)
  if (refusal !== undefined) {
    seen.refused.add(refusal)
    return
  }
  const statuses = apply(model, parts)
  const told = body.tables.map((one: { status: string }) => one.status)
  deepStrictEqual(told, statuses)
  for (const one of statuses) seen[one] += 1
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
    for (const parts of transactions) {
      await step(model, ids, parts)
      await compareTables(ids, model)
    }
    await compareViews(ids, model)
  })
  await fc.assert(property, { numRuns: 60 })
  t.ok(seen.committed > 50, `${seen.committed} commits`)
  t.ok(seen.duplicate > 0, `${seen.duplicate} duplicates`)
  const kinds = ['invalid-request', 'invalid-transaction', 'version-conflict']
  t.strictSame([...seen.refused].sort(), kinds, 'every kind of refusal was met')
})
