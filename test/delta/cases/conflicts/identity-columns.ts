import type { Action } from '../../../../src/delta/actions.ts'
import type { ConflictCode } from '../../../../src/delta/conflicts/conflict.ts'
import type { FileTest } from '../../../../src/delta/conflicts/reads.ts'
import { action, add, column, metadata, protocol } from '../../support.ts'
import { type ConflictCase, everything, suite } from './case.ts'

const check = suite('IdentityColumnConflictSuite', { level: 'Serializable' })
const conflicts = suite('IdentityColumnConflictSuite', { level: 'WriteSerializable' })

const identity = (highWaterMark: string) =>
  `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{"delta.identity.start":9007199254740992,"delta.identity.step":1,"delta.identity.highWaterMark":${highWaterMark}}},{"name":"value","type":"integer","nullable":true,"metadata":{}}]}`

/** A start that a double cannot tell from the one before. */
const startingAt = (start: string) =>
  identity('5').replace('start":9007199254740992', `start":${start}`)

const before = metadata({ schemaString: identity('9007199254740992') })
const table = {
  protocol: protocol('identityColumns', 'rowTracking', 'domainMetadata'),
  metadata: before,
}

const highWaterMark = action('metaData', { ...before, schemaString: identity('9007199254740993') })
const tracksRows = action('metaData', {
  ...before,
  configuration: { ...before.configuration, 'delta.enableRowTracking': 'true' },
})
const addsColumn = action('metaData', metadata({ fields: [column('id'), column('value2')] }))

interface Commit {
  actions: readonly Action[]
  reads?: { predicates: readonly FileTest[] }
}

const names = [
  'generatedId',
  'syncIdentity',
  'noMetadataUpdate',
  'rowTrackingEnablement',
  'otherMetadataUpdate',
] as const
type Name = (typeof names)[number]

const commits: Record<Name, Commit> = {
  generatedId: { actions: [highWaterMark, add('a')] },
  syncIdentity: { actions: [highWaterMark], reads: { predicates: [everything] } },
  noMetadataUpdate: { actions: [add('a')] },
  rowTrackingEnablement: { actions: [tracksRows] },
  otherMetadataUpdate: { actions: [addsColumn] },
}

const [m, a, none] = ['metadata-changed', 'concurrent-append', undefined] as const

/** What becomes of each commit (a row) behind each winner (a column), both in the order of names. */
const outcomes: Record<Name, readonly (ConflictCode | undefined)[]> = {
  generatedId: [m, m, none, m, m],
  syncIdentity: [m, m, a, m, m],
  noMetadataUpdate: [none, none, none, none, m],
  rowTrackingEnablement: [m, m, none, m, m],
  otherMetadataUpdate: [m, m, none, m, m],
}

function pairs(): ConflictCase[] {
  return names.flatMap((current) =>
    names.map((winner, place) => {
      const code = outcomes[current][place]
      return check(`currentTxn: ${current}, winningTxn: ${winner}`, {
        table,
        ...commits[current],
        winners: [commits[winner]],
        ...(code && { conflict: [code] }),
      })
    }),
  )
}

export const identityColumnCases: readonly ConflictCase[] = [
  ...pairs(),
  conflicts('ALTER TABLE SYNC IDENTITY, which changes metadata, sees blind appends as well', {
    table,
    ...commits.syncIdentity,
    winners: [commits.noMetadataUpdate],
    conflict: ['concurrent-append', { path: 'a' }],
  }),
  check('a high water mark does not excuse another start', {
    table,
    winners: [[action('metaData', { ...before, schemaString: startingAt('9007199254740993') })]],
    actions: [add('a')],
    conflict: ['metadata-changed', { fields: ['schemaString'] }],
  }),
]
