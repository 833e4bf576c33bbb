import t from 'tap'
import type { Protocol } from '../../src/delta/actions.ts'
import { faultsMax } from '../../src/delta/faults.ts'
import { protocolChangeFaults, protocolFaults } from '../../src/delta/protocol.ts'

function versions(minReaderVersion: number, minWriterVersion: number): Protocol {
  return { minReaderVersion, minWriterVersion }
}

function named(readerFeatures: string[] | undefined, ...writerOnly: string[]): Protocol {
  const writerFeatures = [...(readerFeatures ?? []), ...writerOnly]
  return readerFeatures
    ? { ...versions(3, 7), readerFeatures, writerFeatures }
    : { ...versions(1, 7), writerFeatures }
}

t.test('legal protocols', async (t) => {
  const legal: Protocol[] = [
    versions(1, 1),
    versions(1, 2),
    versions(2, 5),
    versions(2, 3),
    { ...versions(1, 2), readerFeatures: null, writerFeatures: null },
    named(undefined),
    named([]),
    named(undefined, 'inCommitTimestamp', 'appendOnly'),
    named(['deletionVectors', 'columnMapping'], 'inCommitTimestamp'),
    named(['variantShredding', 'variantType']),
    named(undefined, 'clustering', 'domainMetadata'),
    { ...versions(2, 7), writerFeatures: ['columnMapping'] },
  ]
  for (const protocol of legal) t.same(protocolFaults(protocol), [], JSON.stringify(protocol))
})

t.test('every fault of a protocol is told', async (t) => {
  const cases: readonly [Protocol, code: string, pointer: string, message: RegExp | string][] = [
    [
      versions(0, 2),
      'protocol-version-invalid',
      '/minReaderVersion',
      'minReaderVersion must be at least 1',
    ],
    [
      versions(1, -1),
      'protocol-version-invalid',
      '/minWriterVersion',
      'minWriterVersion must be at least 1',
    ],
    [versions(4, 7), 'protocol-version-invalid', '/minReaderVersion', /at most 3/],
    [versions(1, 8), 'protocol-version-invalid', '/minWriterVersion', /at most 7/],
    [
      versions(3, 5),
      'protocol-version-invalid',
      '/minWriterVersion',
      /requires minWriterVersion 7/,
    ],
    [
      versions(3, 7),
      'protocol-features-invalid',
      '/readerFeatures',
      /must be listed, if only as \[\]/,
    ],
    [versions(1, 7), 'protocol-features-invalid', '/writerFeatures', /must be listed/],
    [
      { ...versions(1, 2), writerFeatures: [] },
      'protocol-features-invalid',
      '/writerFeatures',
      /minWriterVersion 7 only/,
    ],
    [
      { ...versions(2, 7), readerFeatures: [], writerFeatures: [] },
      'protocol-features-invalid',
      '/readerFeatures',
      /minReaderVersion 3 only/,
    ],
    [
      { ...versions(3, 7), readerFeatures: ['deletionVectors'], writerFeatures: [] },
      'protocol-features-invalid',
      '/readerFeatures',
      /listed in writerFeatures too/,
    ],
    [named(['appendOnly']), 'protocol-features-invalid', '/readerFeatures', /writers only/],
    [
      named([], 'deletionVectors'),
      'protocol-features-invalid',
      '/readerFeatures',
      /deletionVectors binds readers too/,
    ],
    [
      named(undefined, 'timestampNtz'),
      'protocol-features-invalid',
      '/readerFeatures',
      /binds readers too/,
    ],
    [
      named(undefined, 'columnMapping'),
      'protocol-features-invalid',
      '/readerFeatures',
      /binds readers too/,
    ],
    [
      named([], 'columnMapping'),
      'protocol-features-invalid',
      '/readerFeatures',
      /binds readers too/,
    ],
    [
      named(undefined, 'clustering'),
      'protocol-features-invalid',
      '/writerFeatures',
      /clustering needs "domainMetadata"/,
    ],
    [
      named(undefined, 'nonsense'),
      'feature-unsupported',
      '/writerFeatures',
      /"nonsense" is not known/,
    ],
    [
      named(undefined, 'catalogManaged', 'inCommitTimestamp'),
      'feature-unsupported',
      '/writerFeatures',
      /not supported by this service yet/,
    ],
  ]
  for (const [protocol, code, pointer, message] of cases) {
    const told = protocolFaults(protocol)
    const found = told.find((fault) => fault.code === code && fault.pointer === pointer)
    t.match(found?.message, message, JSON.stringify(protocol))
  }
  t.equal(protocolFaults(named(undefined, 'nonsense')).length, 1)
  const many = Array.from({ length: 200 }, (_, index) => `f${index}`)
  t.equal(protocolFaults(named(undefined, ...many)).length, faultsMax)
})

t.test('a protocol only grows', async (t) => {
  const legal: readonly [Protocol, Protocol][] = [
    [versions(1, 2), versions(1, 2)],
    [versions(1, 2), versions(2, 5)],
    [versions(1, 2), named(undefined, 'appendOnly', 'invariants')],
    [versions(1, 1), named(undefined)],
    [named(undefined, 'inCommitTimestamp'), named(['deletionVectors'], 'inCommitTimestamp')],
    [{ ...versions(2, 7), writerFeatures: ['columnMapping'] }, named(['columnMapping'])],
  ]
  for (const [before, after] of legal) t.same(protocolChangeFaults(before, after), [])
  const illegal: readonly [Protocol, Protocol, code: string, message: RegExp][] = [
    [
      versions(1, 2),
      versions(1, 1),
      'protocol-downgrade',
      /minWriterVersion cannot go down from 2 to 1/,
    ],
    [versions(2, 5), versions(1, 5), 'protocol-downgrade', /minReaderVersion cannot go down/],
    [
      versions(1, 2),
      named(undefined),
      'feature-removed',
      /list in writerFeatures also "appendOnly", "invariants"/,
    ],
    [
      versions(1, 4),
      named(undefined, 'appendOnly', 'invariants'),
      'feature-removed',
      /"changeDataFeed"/,
    ],
    [named(['deletionVectors']), named([]), 'feature-removed', /"deletionVectors"/],
    [
      named(undefined, 'inCommitTimestamp'),
      named(undefined),
      'feature-removed',
      /"inCommitTimestamp"/,
    ],
  ]
  for (const [before, after, code, message] of illegal) {
    const told = protocolChangeFaults(before, after)
    t.match(told.find((fault) => fault.code === code)?.message, message, JSON.stringify(after))
  }
})
