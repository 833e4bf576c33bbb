import { action, add, column, domain, metadata, remove, table, txn, vector } from '../../support.ts'
import { type ConflictCase, suite } from './case.ts'

const check = suite('Kernel ConflictResolutionSuite')

const files: ConflictCase[] = [
  check('two concurrent txns removing the same file fails', {
    winners: [[remove('file1.parquet'), add('winner-new.parquet')]],
    actions: [remove('file1.parquet'), add('loser-new.parquet')],
    conflict: ['concurrent-delete-delete', { path: 'file1.parquet' }],
  }),
  check('two concurrent DV updates to the same file fail', {
    winners: [[remove('file1.parquet'), add('file1.parquet', { deletionVector: vector('w') })]],
    actions: [remove('file1.parquet'), add('file1.parquet', { deletionVector: vector('l') })],
    conflict: ['concurrent-delete-delete', { path: 'file1.parquet' }],
  }),
  check('concurrent txns removing different files succeed', {
    winners: [[remove('file1.parquet')]],
    actions: [remove('file2.parquet')],
  }),
  check('appending while a concurrent txn removes a file succeeds', {
    winners: [[remove('file1.parquet')]],
    actions: [add('file3.parquet')],
  }),
]

const inDomains = suite('Kernel DomainMetadataSuite', {
  table: table({ features: ['domainMetadata'] }),
})

const domains: ConflictCase[] = [
  inDomains('one of three concurrent txns has DomainMetadata', {
    winners: [[], []],
    actions: [domain('domain1')],
  }),
  inDomains('three concurrent txns have DomainMetadata w/o conflicting domains', {
    winners: [[domain('domain2')], [domain('domain3')]],
    actions: [domain('domain1')],
  }),
  inDomains('three concurrent txns have DomainMetadata w/ conflicting domains', {
    winners: [[domain('domain2')], [domain('domain1')]],
    actions: [domain('domain1')],
    conflict: ['domain-metadata-conflict', { domain: 'domain1' }, 1],
  }),
  inDomains('three concurrent txns have DomainMetadata w/ conflict domains - 2', {
    winners: [[domain('domain1')], [domain('domain2')]],
    actions: [domain('domain1')],
    conflict: ['domain-metadata-conflict', { domain: 'domain1' }, 0],
  }),
]

const inWrites = suite('Kernel ConflictChecker')

const appTransactions: ConflictCase[] = [
  inWrites('a winner wrote the same version of the app transaction', {
    winners: [[txn('txnId', 10)]],
    actions: [txn('txnId', 10), add('a')],
    conflict: ['concurrent-transaction', { appId: 'txnId' }],
  }),
  inWrites('a winner wrote a lower version of the app transaction', {
    winners: [[txn('txnId', 9)]],
    actions: [txn('txnId', 10), add('a')],
    conflict: ['concurrent-transaction', { appId: 'txnId' }],
    differs: 'none: there only the same or a higher version of the winner stands against it',
  }),
]

const inTableWrites = suite('Kernel DeltaTableWritesSuite')

const appendsBefore = (count: number) =>
  inTableWrites(`concurrent data append (${count}) after the losing txn has started`, {
    winners: Array.from({ length: count }, (_, index) => [add(`winner-${index}`)]),
    actions: [add('loser')],
  })

const tableWrites: ConflictCase[] = [
  inTableWrites('table metadata has changed after the losing txn has started', {
    winners: [
      [action('metaData', metadata({ fields: [column('id'), column('newCol', 'integer')] }))],
    ],
    conflict: ['metadata-changed', { fields: ['schemaString'] }],
  }),
  appendsBefore(1),
  appendsBefore(5),
  appendsBefore(12),
]

export const kernelCases = [...files, ...domains, ...appTransactions, ...tableWrites]
