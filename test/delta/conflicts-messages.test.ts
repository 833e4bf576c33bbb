import t from 'tap'
import type { Action } from '../../src/delta/actions.ts'
import { toCandidate } from '../../src/delta/conflicts/candidate.ts'
import { noReads, type Reads } from '../../src/delta/conflicts/reads.ts'
import { findConflict } from '../../src/delta/conflicts.ts'
import { everything, type GivenWinner, toWinner } from './cases/conflicts/case.ts'
import { action, add, column, mapped, remove, table } from './support.ts'

const mappedTable = table({
  fields: [
    column('id', 'long', mapped(1, 'c1')),
    column('day', 'string', mapped(2, 'c2')),
    column('n', 'string', mapped(3, 'c3')),
  ],
  partitionColumns: ['day', 'n'],
  configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '3' },
  features: ['columnMapping'],
})

function told(
  winners: readonly GivenWinner[],
  { reads = {}, actions = [] }: { reads?: Partial<Reads>; actions?: readonly Action[] },
) {
  const commit = {
    actions,
    reads: { ...noReads, ...reads },
    isolationLevel: 'Serializable',
  } as const
  return findConflict(toCandidate(commit), winners.map(toWinner), mappedTable)
}

t.test('a file is told with its partition, by the names of the columns', async (t) => {
  const file = add('a', { partitionValues: { c2: '2026-11-20', c3: '' } })
  const conflict = told([[file], []], { reads: { predicates: [() => false, everything] } })
  t.strictSame(conflict, {
    code: 'concurrent-append',
    winner: { version: 5, operation: 'WRITE', inCommitTimestamp: 1005 },
    message:
      'Version 5 (WRITE) added the file "a" in partition [day=2026-11-20, n=null], which this commit should have read, as reads.predicates[1] can select it. Read the table at version 6 or later, and decide again.',
    facts: { path: 'a', partitionValues: { c2: '2026-11-20', c3: '' }, predicate: 1 },
  })
})

t.test('what is long is cut in the message, and whole in the facts', async (t) => {
  const value = 'x'.repeat(5000)
  const file = remove('a', { partitionValues: { c2: value, c3: null } })
  const conflict = told([[file]], { actions: [remove('a')] })
  t.ok((conflict?.message.length ?? 0) < 500)
  t.equal(conflict?.facts.partitionValues?.['c2'], value)
})

t.test('metadata is told by its members and properties', async (t) => {
  const configuration = { ...mappedTable.metadata.configuration, 'delta.appendOnly': 'true' }
  const changed = { ...mappedTable.metadata, name: 'x', configuration }
  const conflict = told([[action('metaData', changed)]], {})
  t.strictSame(conflict?.facts, { fields: ['name'], properties: ['delta.appendOnly'] })
  t.match(conflict?.message, 'changed metaData "name" and table properties "delta.appendOnly", on')
})

t.test('a schema that cannot be read is not taken for the same', async (t) => {
  for (const schemaString of ['{', '[]', '{"type":"struct"}']) {
    const changed = { ...mappedTable.metadata, schemaString }
    const conflict = told([[action('metaData', changed)]], {})
    t.strictSame(conflict?.facts, { fields: ['schemaString'] })
  }
})

t.test('a schema that only reads otherwise is the same', async (t) => {
  const { schemaString } = mappedTable.metadata
  const spaced = JSON.stringify(JSON.parse(schemaString), undefined, 2)
  t.not(spaced, schemaString)
  const changed = { ...mappedTable.metadata, schemaString: spaced }
  t.equal(told([[action('metaData', changed)]], {}), undefined)
})
