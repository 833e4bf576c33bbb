import type { Protocol } from '../../../src/delta/actions.ts'
import { action, domain, other, protocol, table, txn } from '../support.ts'
import { type Case, onTable } from './case.ts'

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
    'a domain of the system',
    [domain('delta.clustering')],
    table({ features: ['domainMetadata'] }),
    ['domain-reserved', 0],
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

/** Actions that are about neither files nor metadata. */
export const otherCases: readonly Case[] = [...protocols, ...others]
