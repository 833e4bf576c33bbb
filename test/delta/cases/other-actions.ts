import type { Protocol } from '../../../src/delta/actions.ts'
import { action, column, domain, mapped, other, protocol, table, txn } from '../support.ts'
import { type Case, type Expected, onTable } from './case.ts'

const upgrade = (value: Protocol) => [action('protocol', value)]

const protocols: Case[] = [
  onTable('a protocol that grows', upgrade(protocol('appendOnly'))),
  onTable(
    'two of them',
    [...upgrade(protocol()), ...upgrade(protocol())],
    ['duplicate-protocol', 1],
  ),
  onTable(
    'a version below 1',
    upgrade({ minReaderVersion: 0, minWriterVersion: 0 }),
    ['protocol-version-invalid', 0, 'minReaderVersion must be at least 1'],
    ['protocol-version-invalid', 0, 'minWriterVersion must be at least 1'],
  ),
  onTable(
    'versions that are no plain numbers',
    [
      action(
        'protocol',
        protocol(),
        JSON.stringify({ protocol: protocol() }).replace(
          '"minReaderVersion":1',
          '"minReaderVersion":1.0',
        ),
      ),
    ],
    ['long-invalid', 0, /^minReaderVersion/],
  ),
  onTable('lists at the wrong version', upgrade({ ...protocol(), readerFeatures: [] }), [
    'protocol-features-invalid',
    0,
  ]),
  onTable('an unknown feature', upgrade(protocol('nonsense')), ['feature-unsupported', 0]),
  onTable(
    'a downgrade',
    upgrade({ minReaderVersion: 1, minWriterVersion: 6 }),
    ['protocol-downgrade', 0, 'minWriterVersion cannot go down from 7 to 6'],
    ['feature-removed', 0, /"inCommitTimestamp"/],
  ),
  onTable('a feature removed', upgrade(protocol()), table({ features: ['appendOnly'] }), [
    'feature-removed',
    0,
    /"appendOnly"/,
  ]),
]

const others: Case[] = [
  onTable('application transactions', [txn('a', 1), txn('b', -1), txn('é'.repeat(500), 0)]),
  onTable(
    'one application twice',
    [txn('a', 1), txn('b', 1), txn('a', 2)],
    ['duplicate-txn', 2, /txn of "a"; actions\[0\]/],
  ),
  onTable(
    'an empty application id',
    [txn('', 1)],
    ['app-id-invalid', 0, 'txn appId cannot be empty'],
  ),
  onTable(
    'a long application id',
    [txn('é'.repeat(501), 1)],
    ['app-id-invalid', 0, /longer than 1000 bytes/],
  ),
  onTable('an application id with a NUL', [txn('a\0', 1)], ['text-not-storable', 0]),
  onTable('a domain', [domain('my.domain')], table({ features: ['domainMetadata'] })),
  onTable(
    'a domain without the feature',
    [domain('my.domain')],
    ['feature-missing', 0, /^table feature domainMetadata is needed/],
  ),
  onTable('a domain with the feature in the same commit', [
    domain('d'),
    ...upgrade(protocol('domainMetadata')),
  ]),
  onTable('one domain twice', [domain('d'), domain('d')], table({ features: ['domainMetadata'] }), [
    'duplicate-domain',
    1,
  ]),
  onTable(
    'domains without a good name',
    [domain(''), domain('x'.repeat(1001)), domain('\ud800')],
    table({ features: ['domainMetadata'] }),
    ['domain-invalid', 0, 'domainMetadata domain cannot be empty'],
    ['domain-invalid', 1],
    ['text-not-storable', 2],
  ),
  onTable(
    'a domain with a NUL inside',
    [domain('d', '\0')],
    table({ features: ['domainMetadata'] }),
    ['text-not-storable', 0],
  ),
  onTable(
    'domains of the system',
    [
      domain('delta.rowTracking', '{"rowIdHighWaterMark":1}'),
      domain('delta.x'),
      domain('Delta.clustering'),
    ],
    table({ features: ['domainMetadata', 'clustering'] }),
    ['domain-reserved', 0, /is written by the service/],
    ['domain-reserved', 1, /belongs to Delta itself; use a name of your own/],
    ['domain-reserved', 2],
  ),
  onTable(
    'a domain that only begins alike',
    [domain('deltax')],
    table({ features: ['domainMetadata'] }),
  ),
  onTable('commit info', [action('commitInfo', { operation: 'WRITE', nested: { a: [1.5] } })]),
  onTable(
    'commit info that is no object',
    [action('commitInfo', [] as never)],
    ['commit-info-invalid', 0],
  ),
  onTable(
    'commit info twice',
    [action('commitInfo', {}), action('commitInfo', {})],
    ['duplicate-commit-info', 1],
  ),
  onTable('actions of the future', [other('somethingNew', { a: 1 }), other('somethingNew', 7)]),
  onTable(
    'actions of checkpoints',
    [other('sidecar'), other('checkpointMetadata')],
    ['checkpoint-action', 0],
    ['checkpoint-action', 1],
  ),
  onTable(
    'actions in other letters',
    [other('Add'), other('metadata'), other('SIDECAR')],
    ['action-misspelled', 0, '"Add" is not an action of Delta; write it add'],
    ['action-misspelled', 1, /write it metaData/],
    ['action-misspelled', 2],
  ),
  onTable('an action with a name that cannot be kept', [other('x\0')], ['text-not-storable', 0]),
]

const clustered = table({
  features: ['clustering', 'domainMetadata', 'columnMapping'],
  fields: [
    column('id', 'long', mapped(1, 'c1')),
    column(
      's',
      { type: 'struct', fields: [column('x', 'date', mapped(3, 'c3'))] },
      mapped(2, 'c2'),
    ),
    column('v', 'variant', mapped(4, 'c4')),
  ],
  configuration: { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '4' },
})
const clusteredBy = (columns: unknown, table = clustered, ...expected: Expected[]) =>
  onTable(
    `clustering by ${JSON.stringify(columns)}`,
    [domain('delta.clustering', JSON.stringify({ clusteringColumns: columns }))],
    table,
    ...expected,
  )
const invalid = (message?: RegExp): Expected =>
  message ? ['clustering-invalid', 0, message] : ['clustering-invalid', 0]

const clustering: Case[] = [
  clusteredBy([]),
  clusteredBy([['c1'], ['c2', 'c3']]),
  clusteredBy(['c1']),
  clusteredBy(['id'], clustered, invalid(/names "id", which is no column of the schema/)),
  clusteredBy(
    [
      ['c2', 'c9'],
      ['c1', 'c2'],
    ],
    clustered,
    invalid(),
    invalid(),
  ),
  clusteredBy([['c2']], clustered, invalid(/of type struct; only types with an order/)),
  clusteredBy(['c4'], clustered, invalid(/of type variant/)),
  clusteredBy(['c1', ['c1']], clustered, invalid(/names "c1" twice/)),
  clusteredBy([[], 7], clustered, invalid(/must be of the form/), invalid()),
  clusteredBy('c1', clustered, invalid(/must be of the form/)),
  onTable(
    'clustering by no JSON',
    [domain('delta.clustering', '{')],
    clustered,
    invalid(/must be JSON/),
  ),
  onTable(
    'clustering told twice',
    [domain('delta.clustering', '{"clusteringColumns":[],"clusteringColumns":["c1"]}')],
    clustered,
    invalid(/same member twice/),
  ),
  onTable(
    'clustering that ends',
    [action('domainMetadata', { domain: 'delta.clustering', configuration: '{}', removed: true })],
    clustered,
  ),
  clusteredBy(['id'], table({ features: ['domainMetadata'] }), [
    'feature-missing',
    0,
    /^table feature clustering is needed/,
  ]),
]

/** Actions that are about neither files nor metadata. */
export const otherCases: readonly Case[] = [...protocols, ...others, ...clustering]
