import t from 'tap'
import { inTransaction } from '../../src/database/transaction.ts'
import { judgeState, openStateLedger } from '../../src/state/judge.ts'
import type { StateReads } from '../../src/state/operations.ts'
import { findStaleRanges } from '../../src/state/range-queries.ts'
import { type EntryRow, noValue } from '../../src/state/rows.ts'
import { startTestServer } from '../support/server.ts'

const head = {
  id: 1,
  namespace: 'n',
  revision: 5,
  numEntries: 1,
  versionFloor: 0,
  defaultTtlMs: null,
  requiresPrecondition: false,
  durability: 'sync' as const,
}
const row = (more: Partial<EntryRow>): EntryRow => ({
  namespaceId: 1,
  key: 'a',
  version: 3,
  revision: 4,
  isDeleted: false,
  value: noValue,
  metadata: null,
  createdAt: 0,
  updatedAt: 0,
  expiresAt: null,
  ...more,
})

t.test('a proposal is refused when what it was decided on was written since', async (t) => {
  const range = { from: 'm', to: 'n', sinceRevision: 4 }
  const judge = (
    reads: Partial<StateReads>,
    entry?: EntryRow,
    stale: [typeof range, string][] = [],
  ) => {
    const ledger = openStateLedger({
      namespaces: [head],
      entries: entry === undefined ? [] : [entry],
      staleRanges: new Map(stale),
    }).get(1)
    if (ledger === undefined) throw new Error('the namespace was not opened')
    const proposal = {
      namespaceId: 1,
      namespace: 'n',
      operations: [{ kind: 'delete' as const, key: 'z' }],
      isAtomic: true,
      reads: { keys: [], ranges: [], ...reads },
    }
    const judged = judgeState(proposal, ledger, 1000)
    return 'refusal' in judged ? [judged.refusal.code, judged.key] : 'accepted'
  }
  const seen = (version: number, isThere: boolean) => ({ keys: [{ key: 'a', version, isThere }] })
  const refused = ['serialization-failure', 'a']
  t.equal(judge(seen(3, true), row({})), 'accepted')
  t.equal(judge(seen(0, false)), 'accepted')
  t.strictSame(judge(seen(2, true), row({})), refused, 'it was written')
  t.strictSame(judge(seen(0, false), row({ version: 1 })), refused, 'it was made')
  t.strictSame(judge(seen(3, true), row({ expiresAt: 1000 })), refused, 'it has expired')
  t.equal(judge(seen(4, false), row({ version: 4, isDeleted: true })), 'accepted')
  t.equal(judge({ ranges: [range] }), 'accepted')
  t.strictSame(judge({ ranges: [range] }, undefined, [[range, 'mm']]), [refused[0], 'mm'])
})

t.test('writes in a range since a revision are found', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const write = async (key: string) => {
    const json = { value: 1 }
    const { body } = await server.call('PUT', `/state/ranges/entries/${key}`, { json })
    return body.revision as number
  }
  await write('b')
  const sinceRevision = await write('c')
  await write('d')
  const find = async (from: string, to?: string, since = sinceRevision) => {
    const { id = 0 } =
      (await server.db
        .selectFrom('state_namespaces')
        .select('id')
        .where('namespace', '=', 'ranges')
        .executeTakeFirst()) ?? {}
    const range = { from, to, sinceRevision: since }
    const proposal = { namespaceId: id, namespace: 'ranges', operations: [], isAtomic: true }
    const found = await inTransaction(server.db, (tx) =>
      findStaleRanges(tx, [{ ...proposal, reads: { keys: [], ranges: [range] } }]),
    )
    return found.get(range)
  }
  t.equal(await find('a'), 'd')
  t.equal(await find('a', 'd'), undefined, 'what is before the end alone')
  t.equal(await find('e'), undefined)
  t.equal(await find('a', undefined, sinceRevision + 1), undefined)
  t.equal(await find('a', 'c', 0), 'b')
  await server.db.updateTable('state_namespaces').set({ history_from: 3 }).execute()
  t.equal(await find('e', undefined, 1), 'e', 'the history does not tell any more')
  t.equal(await find('e', undefined, 2), undefined)
})
