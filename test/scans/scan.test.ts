import t from 'tap'
import type { PredicateNode } from '../../src/delta/predicates/shape.ts'
import { parsed, predicateTable } from '../delta/predicates/support.ts'
import { column as field } from '../delta/support.ts'
import { add, remove } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'

const fields = [field('n', 'long'), field('name', 'string')]
const partitions = [field('day', 'date')]
const table = predicateTable({ partitions, fields })

const server = await startTestServer(t)
/** The same, but without memory to keep anything of files. */
const forgetful = await startTestServer(t, { scanCacheBytesMax: 1 }, { beside: server })

let seed = Date.now() % 2 ** 31
t.comment(`seed ${seed}`)

/** Mulberry32: numbers below `count` that look random. */
function below(count: number): number {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) % count
}

const pick = <T>(options: readonly T[]): T => options[below(options.length)] as T
const days = ['2024-01-01', '2024-01-02', '2024-01-03', null]
const names = ['', 'a', 'ab', 'abc', 'b', 'é', '\u{1f600}', 'z'.repeat(40)]

/** An add whose statistics are sometimes missing, broken or say nothing of a column. */
function randomAdd(path: string) {
  const least = below(50)
  const [one = '', other = ''] = [pick(names), pick(names)].sort()
  const stats = {
    numRecords: 10,
    minValues: { n: least, ...(pick([true, false]) && { name: one }) },
    maxValues: { n: least + below(5), name: other },
    nullCount: { n: pick([0, 3, 10]), name: 0 },
  }
  const text = JSON.stringify(stats)
  return add(path, {
    partitionValues: { day: pick(days) },
    stats: pick([text, text, text, text, undefined, '{"maxValues":{"n":7}}', '{}']),
  })
}

const column = (name: string): PredicateNode => ({ op: 'column', name })
const literals: Record<string, () => PredicateNode> = {
  n: () => ({ op: 'literal', value: below(60), valueType: 'long' }),
  name: () => ({ op: 'literal', value: pick(names), valueType: 'string' }),
  day: () => ({ op: 'literal', value: pick(days) ?? '2024-01-04', valueType: 'date' }),
}

function randomPredicate(depth: number): PredicateNode {
  const name = pick(Object.keys(literals))
  const literal = literals[name] ?? (() => column(name))
  const op = pick(['equal', 'lessThan', 'greaterThanOrEqual', 'in', 'isNull', 'and', 'or', 'not'])
  const inner = () => randomPredicate(depth - 1)
  if (op === 'isNull') return { op, children: [column(name)] }
  if (op === 'not' && depth > 0) return { op, children: [inner()] }
  if ((op === 'and' || op === 'or') && depth > 0) return { op, children: [inner(), inner()] }
  if (op === 'in') return { op, children: [column(name), literal(), literal(), literal()] }
  const comparison = op === 'lessThan' || op === 'greaterThanOrEqual' ? op : 'equal'
  return { op: comparison, children: [column(name), literal()] }
}

const ndjson = { accept: 'application/x-ndjson' }
const linesOf = (text: string) => text.split('\n').slice(0, -1)

/** What the files of a version come to, one by one. */
async function naive(id: string, version: number, predicate: PredicateNode) {
  const { test } = parsed(predicate, table)
  const { text } = await server.get(`/tables/${id}/files?version=${version}`, ndjson)
  const lines = linesOf(text)
  const verdicts = lines.map((line) => test(JSON.parse(line).add))
  const pruned = (by: string) => verdicts.filter(({ prunedBy }) => prunedBy === by).length
  const kept = lines.filter((_, index) => verdicts[index]?.kept)
  return {
    kept,
    summary: {
      version,
      numFiles: lines.length,
      numMatched: kept.length,
      prunedByPartition: pruned('partitions'),
      prunedByStatistics: pruned('statistics'),
    },
  }
}

t.test(
  'a scan answers what testing each file would, at every version, as the table grows',
  async (t) => {
    const id = await server.makeTable({
      schema: { type: 'struct', fields: [...partitions, ...fields] },
      partitionColumns: ['day'],
    })
    const live = new Set<string>()
    let met = 0
    for (let version = 1; version <= 25; version += 1) {
      const gone = [...live].filter(() => below(8) === 0)
      const added = Array.from({ length: below(12) }, (_, index) => `v${version}-${index}`)
      const again = [...live].filter((path) => !gone.includes(path) && below(10) === 0)
      const actions = [
        ...gone.map((path) => remove(path)),
        ...[...added, ...again].map(randomAdd),
        { txn: { appId: 'a', version } },
      ]
      const committed = await server.commit(id, { actions })
      t.equal(committed.status, 201, committed.text)
      for (const path of gone) live.delete(path)
      for (const path of added) live.add(path)
      for (const at of [version, below(version + 1)]) {
        const predicate = randomPredicate(2)
        const { kept, summary } = await naive(id, at, predicate)
        met += kept.length
        for (const { post } of [server, forgetful]) {
          const body = { version: at, predicate }
          const whole = await post(`/tables/${id}/scan`, body, ndjson)
          t.equal(whole.status, 200, whole.text)
          t.strictSame(linesOf(whole.text), kept, JSON.stringify(body))
          t.strictSame(JSON.parse(whole.headers.get('scan-summary') ?? ''), summary)
          const items: object[] = []
          let cursor: string | undefined
          do {
            const page = await post(`/tables/${id}/scan`, { ...body, limit: 7, cursor })
            const { items: some, nextCursor, ...rest } = page.body
            t.strictSame(rest, summary)
            items.push(...some)
            cursor = nextCursor
          } while (cursor !== undefined)
          t.strictSame(
            items,
            kept.map((line) => JSON.parse(line)),
          )
        }
      }
    }
    t.ok(met > 100, `${met} files were kept`)
  },
)

t.test(
  'a table of many files is pruned in many parts, and pages go on at their version',
  async (t) => {
    const id = await server.makeTable()
    const stats = (n: number) =>
      `{"numRecords":1,"minValues":{"id":${n}},"maxValues":{"id":${n}},"nullCount":{"id":0}}`
    const adds = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => add(`f${from + i}`, { stats: stats(from + i) }))
    const between = (from: number, to: number) => ({
      op: 'and',
      children: [
        {
          op: 'greaterThanOrEqual',
          children: [column('id'), { op: 'literal', value: from, valueType: 'long' }],
        },
        {
          op: 'lessThan',
          children: [column('id'), { op: 'literal', value: to, valueType: 'long' }],
        },
      ],
    })
    await server.commit(id, { actions: adds(0, 20_000) })
    const predicate = between(8000, 8400)
    const first = await server.post(`/tables/${id}/scan`, { predicate, limit: 200 })
    t.match(first.body, {
      version: 1,
      numFiles: 20_000,
      numMatched: 400,
      prunedByStatistics: 19_600,
    })
    const actions = [remove('f8399'), ...adds(20_000, 3000), add('new', { stats: stats(8001) })]
    await server.commit(id, { actions })
    const now = await server.post(`/tables/${id}/scan`, { predicate, limit: 1000 })
    t.match(now.body, { version: 2, numFiles: 23_000, numMatched: 400 })
    t.equal(now.body.items.at(-1).add.path, 'new')
    const cursor = first.body.nextCursor
    const second = await server.post(`/tables/${id}/scan`, { predicate, limit: 200, cursor })
    t.match(second.body, { version: 1, numFiles: 20_000, numMatched: 400, nextCursor: undefined })
    t.equal(second.body.items.at(-1).add.path, 'f8399')
    const other = await server.post(`/tables/${id}/scan`, { predicate: between(0, 1), cursor })
    t.match(other, { status: 400, body: { code: 'invalid-cursor' } })
  },
)
