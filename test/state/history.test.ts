import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import {
  findEntryAt,
  findNamespaceHistory,
  listEntriesAt,
  listKeyWrites,
  type PastPage,
} from '../../src/state/history-queries.ts'
import { refuseUnknownRevision } from '../../src/state/history-rules.ts'
import type { StateOperation } from '../../src/state/operations.ts'
import { startTestServer } from '../support/server.ts'
import { createStateWriter, put, putBytes, remove } from '../support/state.ts'

const server = await startTestServer(t, {}, { mirror: false })
const { write } = createStateWriter(server)
const { db } = server
const whole = { limit: 1000, bytesMax: 2 ** 20 }

/** Puts into the archive what was replaced before a revision, as retention does where a namespace archives. */
async function archive(namespaceId: number, before: number): Promise<void> {
  await sql`
    with old as (
      delete from state_history h
      where namespace_id = ${namespaceId} and exists (
        select from state_history newer
        where newer.namespace_id = h.namespace_id and newer.key = h.key
          and newer.revision > h.revision and newer.revision <= ${before})
      returning *
    ), moved as (insert into state_archive select * from old)
    update state_namespaces set history_from = ${before}, archive_from = 1
    where id = ${namespaceId}`.execute(db)
}

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

t.test('the history of a key has all its writes, newest first', async (t) => {
  const key = 'a/b?'
  const value = '{"n":1.00,"m":12345678901234567890}'
  const steps: StateOperation[][] = [
    [put('other', 0), put(key, 0, { value: { json: value, contentType: null, bytes: null } })],
    [putBytes(key, Buffer.from('bytes'))],
    [remove(key)],
    [put('other', 1)],
    [put(key, null, { metadata: { m: 1 }, ttlMs: 1 })],
  ]
  let namespaceId = 0
  for (const step of steps) namespaceId = (await write('told', step)).namespaceId
  await sleep(5)
  await write('told', [{ kind: 'expire', key, version: 4 }])
  const path = `/state/told/entries/${encodeURIComponent(key)}/history`
  const { status, body, text } = await server.get(path)
  t.equal(status, 200)
  t.match(body.items, [
    { kind: 'expire', revision: 6, version: 5 },
    { kind: 'put', revision: 5, version: 4, created: true, value: null, metadata: { m: 1 } },
    { kind: 'delete', revision: 3, version: 3, updatedAt: instant },
    { kind: 'put', revision: 2, version: 2, created: false, valueBase64: 'Ynl0ZXM=' },
    { kind: 'put', revision: 1, position: 1, version: 1, created: true, key },
  ])
  t.match(body.items[1].expiresAt, instant)
  t.ok(text.includes(`"value":${value}`))
  const paged: unknown[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = await server.get(`${path}?limit=2${cursor && `&cursor=${cursor}`}`)
    paged.push(...page.body.items)
    cursor = page.body.nextCursor
  }
  t.strictSame(paged, body.items)
  await archive(namespaceId, 5)
  const lines = await server.get(path, { accept: 'application/x-ndjson' })
  t.strictSame(
    lines.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    body.items,
  )
  for (const unknown of ['/state/told/entries/none/history', '/state/none/entries/told/history']) {
    t.match(await server.get(unknown), { status: 404, body: { code: 'entry-not-found' } })
  }
  t.match(await server.get(`${path}?cursor=x`), { body: { code: 'invalid-cursor' } })
})

t.test('a page of large writes ends early', async (t) => {
  let namespaceId = 0
  for (let number = 0; number < 5; number += 1) {
    const result = await write('large', [putBytes('key', Buffer.alloc(1000, number))])
    namespaceId = result.namespaceId
  }
  const read = (before: number | undefined, bytesMax: number) =>
    listKeyWrites(db, { namespaceId, key: 'key', before }, { limit: 3, bytesMax })
  const revisions = ({ writes, hasMore }: Awaited<ReturnType<typeof read>>) => [
    ...writes.map(({ revision }) => revision),
    hasMore,
  ]
  t.strictSame(revisions(await read(undefined, 10_000)), [5, 4, 3, true])
  t.strictSame(revisions(await read(undefined, 1500)), [5, 4, true])
  t.strictSame(revisions(await read(4, 1)), [3, true])
  t.strictSame(revisions(await read(3, 10_000)), [2, 1, false])
  const range = { namespaceId, revision: 3, from: '', to: undefined, after: undefined }
  t.match(await listEntriesAt(db, range, { limit: 1, bytesMax: 1 }), {
    entries: [{ version: 3, value: { bytes: Buffer.alloc(1000, 2) } }],
    next: undefined,
  })
})

t.test('what was there at a revision is read from history and archive', async (t) => {
  const keys = ['a', 'b/1', 'b/2', 'c', 'd']
  /** What is there behind each revision, by key. */
  const model: Map<string, unknown>[] = [new Map()]
  let namespaceId = 0
  const step = async (operations: StateOperation[], gone: readonly string[] = []) => {
    const result = await write('past', operations)
    namespaceId = result.namespaceId
    const now = new Map(model.at(-1))
    for (const key of gone) now.delete(key)
    for (const one of operations) {
      if (one.kind !== 'put') now.delete(one.key)
      else now.set(one.key, JSON.parse(one.value.json ?? 'null'))
    }
    if (result.revision === model.length) model.push(now)
  }
  for (let number = 0; number < 12; number += 1) {
    const some = keys.filter((_, index) => (number * (index + 2)) % 3 === 0)
    await step(some.map((key, index) => (index + number === 7 ? remove(key) : put(key, number))))
  }
  await step([put('a', 'short', { ttlMs: 1 }), put('c', 'long', { ttlMs: 86_400_000 })])
  await sleep(5)
  // It has expired before, although nothing has said so yet.
  await step([put('d', 'later')], ['a'])
  await step([{ kind: 'expire', key: 'a', version: (await versionOf('a')) ?? 0 }])
  async function versionOf(key: string): Promise<number | undefined> {
    return (await listKeyWrites(db, { namespaceId, key, before: undefined }, whole)).writes[0]
      ?.version
  }

  const check = async (from: number) => {
    for (let revision = from; revision < model.length; revision += 1) {
      const there = model[revision] ?? new Map()
      for (const key of [...keys, 'none']) {
        const entry = await findEntryAt(db, { namespaceId, key, revision })
        const json = entry?.value.json ?? undefined
        t.equal(json, there.has(key) ? JSON.stringify(there.get(key)) : undefined)
      }
      for (const [start, to] of [
        ['', undefined],
        ['b', 'c'],
      ] as const) {
        const entries = await listAll({ namespaceId, revision, from: start, to })
        t.strictSame(
          entries.map(({ key, value }) => [key, JSON.parse(value.json ?? '')]),
          [...there]
            .filter(([key]) => key >= start && (to === undefined || key < to))
            .toSorted(([one], [other]) => (one < other ? -1 : 1)),
          `revision ${revision}`,
        )
      }
    }
  }
  await check(1)
  await archive(namespaceId, 9)
  await check(1)
})

/** All pages of a list, with two keys looked at for each. */
async function listAll(range: {
  namespaceId: number
  revision: number
  from: string
  to: string | undefined
}) {
  const entries: PastPage['entries'] = []
  let after: string | undefined
  do {
    const page = await listEntriesAt(db, { ...range, after }, { limit: 2, bytesMax: 2 ** 20 })
    entries.push(...page.entries)
    after = page.next
  } while (after !== undefined)
  return entries
}

t.test('revisions of which nothing is known are refused', async (t) => {
  const { namespaceId } = await write('known', [put('a', 1)])
  await sql`
    update state_namespaces set revision = 9, history_from = 4 where id = ${namespaceId}`.execute(
    db,
  )
  const known = await findNamespaceHistory(db, 'known')
  t.match(known, { namespaceId, revision: 9, historyFrom: 4, archiveFrom: null })
  t.equal(await findNamespaceHistory(db, 'unknown'), undefined)
  if (known === undefined) return
  for (const revision of [4, 9]) refuseUnknownRevision(known, revision)
  t.throws(() => refuseUnknownRevision(known, 10), {
    code: 'revision-not-found',
    facts: { currentRevision: 9 },
  })
  t.throws(() => refuseUnknownRevision(known, 3), {
    code: 'history-not-available',
    facts: { historyFrom: 4 },
  })
  refuseUnknownRevision({ ...known, archiveFrom: 2 }, 2)
  t.throws(() => refuseUnknownRevision({ ...known, archiveFrom: 2 }, 1), {
    code: 'history-not-available',
    facts: { historyFrom: 2 },
  })
})
