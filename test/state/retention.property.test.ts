import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import { expiredEntries } from '../../src/state/expiry.ts'
import { replacedWrites } from '../../src/state/retention/sweep-history.ts'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, remove } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { db } = server
const { write, committer } = createStateWriter(server)

/** A write as the model knows it. */
interface ModelWrite {
  revision: number
  key: string
  version: number
  kind: string
}

interface Row extends ModelWrite {
  position: number
}

interface Bounds {
  id: number
  revision: number
  historyFrom: number
  archiveFrom: number | null
}

type Command =
  | { kind: 'write'; puts: string[]; deletes: string[]; short: string[] }
  | { kind: 'expire' | 'age' | 'sweep' | 'step' }
  | { kind: 'set'; maxRevisions?: number; maxAgeMs?: number; archive: boolean }

const key = fc.constantFrom('a', 'b', 'c', 'd')
const keys = fc.uniqueArray(key, { maxLength: 3 })
const plain = (kind: 'expire' | 'age' | 'sweep' | 'step') => fc.constant<Command>({ kind })
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      puts: keys,
      deletes: keys,
      short: keys,
    }) as fc.Arbitrary<Command>,
  },
  {
    weight: 3,
    arbitrary: fc.record(
      {
        kind: fc.constant('set' as const),
        maxRevisions: fc.integer({ min: 0, max: 6 }),
        maxAgeMs: fc.constant(1_800_000),
        archive: fc.boolean(),
      },
      { requiredKeys: ['kind', 'archive'] },
    ) as fc.Arbitrary<Command>,
  },
  { weight: 1, arbitrary: plain('expire') },
  { weight: 2, arbitrary: plain('age') },
  { weight: 2, arbitrary: plain('sweep') },
  { weight: 3, arbitrary: plain('step') },
)

const rowsOf = async (table: 'state_history' | 'state_archive', id: number) =>
  (
    await sql<Row>`
      select revision, position, key, version, kind from ${sql.table(table)}
      where namespace_id = ${id} order by revision, position`.execute(db)
  ).rows

async function boundsOf(namespace: string): Promise<Bounds> {
  const { rows } = await sql<Bounds>`
    select id, revision, history_from as "historyFrom", archive_from as "archiveFrom"
    from state_namespaces where namespace = ${namespace}`.execute(db)
  const [found] = rows
  if (found === undefined) throw new Error('there is no namespace')
  return found
}

/** What was there at a revision, by the writes that are known: versions by key. */
function readAt(writes: readonly ModelWrite[], revision: number): Record<string, number> {
  const newest = new Map<string, ModelWrite>()
  for (const one of writes) {
    const known = newest.get(one.key)
    const isNewer = known === undefined || known.revision < one.revision
    if (one.revision <= revision && isNewer) newest.set(one.key, one)
  }
  const there = [...newest.values()].filter(({ kind }) => kind === 'put')
  return Object.fromEntries(there.map((one) => [one.key, one.version]).sort())
}

/** Every revision that the database says it can tell of, it tells of as the model does. */
async function checkReads(namespace: string, model: readonly ModelWrite[]): Promise<void> {
  const { id, revision, historyFrom, archiveFrom } = await boundsOf(namespace)
  const history = await rowsOf('state_history', id)
  // As readers do, from both.
  const all = [...history, ...(await rowsOf('state_archive', id))]
  for (let at = archiveFrom ?? historyFrom; at <= revision; at++) {
    assert.deepEqual(readAt(all, at), readAt(model, at), 'a revision that can be read')
  }
  for (let at = historyFrom; at <= revision; at++) {
    assert.deepEqual(readAt(history, at), readAt(model, at), 'a revision of the history')
  }
  const behind = ({ revision: of }: ModelWrite) => of >= historyFrom
  assert.deepEqual(
    history.filter(behind).map((row) => [row.revision, row.key, row.version, row.kind]),
    model.filter(behind).map((row) => [row.revision, row.key, row.version, row.kind]),
    'what watchers are told',
  )
}

/** Nothing stays that no read needs. */
async function checkLeft(namespace: string): Promise<void> {
  const { id, historyFrom } = await boundsOf(namespace)
  const history = await rowsOf('state_history', id)
  const needless = history.filter(
    (row) =>
      history.some(
        ({ key, revision }) =>
          key === row.key && revision > row.revision && revision <= historyFrom,
      ) ||
      (row.kind !== 'put' &&
        row.revision < historyFrom &&
        !history.some(({ key, revision }) => key === row.key && revision > row.revision)),
  )
  assert.deepEqual(needless, [])
  const { rows: forgotten } = await sql`
    select key from state_entries
    where namespace_id = ${id} and is_deleted and revision < ${historyFrom}`.execute(db)
  assert.deepEqual(forgotten, [])
}

const { sweep: step } = replacedWrites(db, { pollMs: 1000, writesMax: 2 })
const { sweep: expire } = expiredEntries({ db, committer, pollMs: 1000 })

async function sweepAll(): Promise<void> {
  while ((await step()) > 0);
}

async function run(namespace: string, commands: readonly Command[]): Promise<void> {
  const model: ModelWrite[] = []
  /** Adds what was written since to the model. */
  const learn = async () => {
    const { id } = await boundsOf(namespace)
    const known = model.at(-1)?.revision ?? 0
    for (const { revision, key, version, kind } of await rowsOf('state_history', id)) {
      if (revision <= known) continue
      const before = model.findLast((one) => one.key === key)?.version ?? 0
      assert.ok(version > before, 'no version of a key comes twice')
      model.push({ revision, key, version, kind })
    }
  }
  await write(namespace, [put('a', 0)])
  await learn()
  for (const one of commands) {
    switch (one.kind) {
      case 'write': {
        const written = new Set([...one.puts, ...one.short])
        const operations = [
          ...[...written].map((key) =>
            put(key, model.length, { ttlMs: one.short.includes(key) ? 1 : null }),
          ),
          ...one.deletes.filter((key) => !written.has(key)).map(remove),
        ]
        if (operations.length > 0) await write(namespace, operations)
        break
      }
      case 'expire':
        await sleep(2)
        await expire()
        break
      case 'age':
        await sql`
          update state_history set updated_at = updated_at - interval '1 hour'
          where namespace_id = (
            select id from state_namespaces where namespace = ${namespace})`.execute(db)
        break
      case 'set': {
        const { kind: _kind, ...retention } = one
        await server.call('PUT', `/state/${namespace}`, { json: { retention } })
        break
      }
      case 'sweep':
        await sweepAll()
        break
      case 'step':
        await step()
        break
    }
    await learn()
    await checkReads(namespace, model)
  }
  const retention = { maxRevisions: 1, archive: true }
  await server.call('PUT', `/state/${namespace}`, { json: { retention } })
  await sweepAll()
  await checkReads(namespace, model)
  await checkLeft(namespace)
}

const written = (puts: string[], deletes: string[] = []): Command => ({
  kind: 'write',
  puts,
  deletes,
  short: [],
})
const keepsOne = (archive: boolean): Command => ({ kind: 'set', maxRevisions: 0, archive })
const swept: Command = { kind: 'sweep' }

/** What is seldom drawn. */
const examples: Command[][] = [
  // A key that was forgotten is made anew.
  [keepsOne(false), written([], ['a']), written(['b']), swept, written(['a'])],
  // A deletion stands where the history begins, and later behind it.
  [keepsOne(false), written([], ['a']), swept, written(['b']), written(['b'])],
  // The archive is given up, and begun anew.
  [
    ...[keepsOne(true), written(['a']), swept],
    ...[keepsOne(false), written([], ['a']), swept, written(['b']), swept],
    ...[keepsOne(true), written(['b']), swept],
  ],
]

t.test('what leaves the history changes no read that is answered', async (t) => {
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 20 }), (commands) =>
      run(`model${runs++}`, commands),
    ),
    { numRuns: 15, examples: examples.map((commands) => [commands]) },
  )
  t.ok(runs >= 15)
})
