import t from 'tap'
import type { Protocol } from '../../src/delta/actions.ts'
import type { StructField } from '../../src/delta/data-types.ts'
import { deriveProtocol } from '../../src/delta/derive-protocol.ts'
import { faultsMax } from '../../src/delta/faults.ts'
import { protocolFaults } from '../../src/delta/protocol.ts'
import { column, mapped } from './support.ts'

interface Request {
  fields?: StructField[]
  configuration?: Record<string, string>
  requested?: Protocol
}

function derive({ fields = [column('id')], configuration = {}, requested }: Request) {
  return deriveProtocol({ schema: { type: 'struct', fields }, configuration, requested })
}

function named(readers: string[] | number, ...writerFeatures: string[]): Protocol {
  return typeof readers === 'number'
    ? { minReaderVersion: readers, minWriterVersion: 7, writerFeatures }
    : { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: readers, writerFeatures }
}

const ict = 'inCommitTimestamp'
const mapping = { 'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '1' }
const mappedField = column('id', 'long', mapped(1, 'x'))

t.test(
  'a new table has the lowest protocol that it needs, with in-commit timestamps',
  async (t) => {
    const cases: readonly [Request, Protocol][] = [
      [{}, named(1, ict)],
      [{ configuration: { 'delta.appendOnly': 'true' } }, named(1, 'appendOnly', ict)],
      [{ configuration: { 'delta.appendOnly': 'false' } }, named(1, ict)],
      [{ fields: [column('t', 'timestamp_ntz')] }, named(['timestampNtz'], ict, 'timestampNtz')],
      [{ fields: [mappedField], configuration: mapping }, named(2, 'columnMapping', ict)],
      [
        {
          fields: [mappedField],
          configuration: { ...mapping, 'delta.enableDeletionVectors': 'true' },
        },
        named(['columnMapping', 'deletionVectors'], 'columnMapping', 'deletionVectors', ict),
      ],
      [
        { configuration: { 'delta.feature.clustering': 'supported' } },
        named(1, 'clustering', 'domainMetadata', ict),
      ],
      [
        { configuration: { 'delta.feature.timestampntz': 'enabled' } },
        named(['timestampNtz'], ict, 'timestampNtz'),
      ],
      [{ configuration: { 'delta.minWriterVersion': '7' } }, named(1, ict)],
      [
        { configuration: { 'delta.minWriterVersion': '2' } },
        named(1, 'appendOnly', ict, 'invariants'),
      ],
      [{ configuration: { 'delta.minReaderVersion': '3' } }, named([], ict)],
      [{ requested: { minReaderVersion: 1, minWriterVersion: 1 } }, named(1, ict)],
      [
        { requested: { minReaderVersion: 1, minWriterVersion: 2 } },
        named(1, 'appendOnly', ict, 'invariants'),
      ],
      [
        { requested: { minReaderVersion: 2, minWriterVersion: 5 } },
        named(
          2,
          'appendOnly',
          'changeDataFeed',
          'checkConstraints',
          'columnMapping',
          'generatedColumns',
          ict,
          'invariants',
        ),
      ],
      [{ requested: named([]) }, named([], ict)],
      [
        { requested: named(1, 'domainMetadata'), configuration: { 'delta.appendOnly': 'true' } },
        named(1, 'appendOnly', 'domainMetadata', ict),
      ],
      [
        { requested: named(['v2Checkpoint'], 'v2Checkpoint') },
        named(['v2Checkpoint'], ict, 'v2Checkpoint'),
      ],
    ]
    for (const [request, expected] of cases) {
      const { protocol, faults } = derive(request)
      t.same(faults, undefined, JSON.stringify(request))
      t.same(protocol, expected, JSON.stringify(request))
      t.same(protocol && protocolFaults(protocol), [])
    }
  },
)

t.test('properties of the protocol are not stored, in-commit timestamps are', async (t) => {
  const configuration = {
    owner: 'me',
    'delta.appendOnly': 'true',
    'delta.feature.domainMetadata': 'supported',
    'delta.minReaderVersion': '1',
    'delta.minWriterVersion': '2',
  }
  t.same(derive({ configuration }).configuration, {
    owner: 'me',
    'delta.appendOnly': 'true',
    'delta.enableInCommitTimestamps': 'true',
  })
})

t.test('what stands against a protocol is told, all of it', async (t) => {
  const cases: readonly [Request, pointer: string, message: RegExp][] = [
    [
      { configuration: { 'delta.enableInCommitTimestamps': 'false' } },
      '/configuration/delta.enableInCommitTimestamps',
      /always|keeps in-commit timestamps on every table/,
    ],
    [
      { configuration: { 'delta.inCommitTimestampEnablementVersion': '3' } },
      '/configuration/delta.inCommitTimestampEnablementVersion',
      /must be absent/,
    ],
    [
      { configuration: { 'delta.appendOnly': 'yes' } },
      '/configuration/delta.appendOnly',
      /must be "true" or "false"/,
    ],
    [
      { configuration: { 'delta.enableIcebergCompatV1': 'true' } },
      '/configuration',
      /icebergCompatV1 needs delta.columnMapping.mode "name" or "id"/,
    ],
    [
      { configuration: { 'delta.feature.catalogManaged': 'supported' } },
      '/configuration/delta.feature.catalogManaged',
      /catalogManaged is not supported by this service yet \("delta.feature.catalogManaged" is "supported"\)/,
    ],
    [
      { configuration: { 'delta.feature.x/y': 'supported' } },
      '/configuration/delta.feature.x~1y',
      /"x\/y" is not known/,
    ],
    [
      { configuration: { 'delta.columnMapping.mode': 'name' } },
      '/schema/fields/0/metadata',
      /column "id" needs a whole number .* does not assign ids yet/,
    ],
    [
      { requested: { minReaderVersion: 0, minWriterVersion: 2 } },
      '/protocol/minReaderVersion',
      /must be at least 1/,
    ],
    [
      { requested: named(1, 'catalogManaged') },
      '/protocol/writerFeatures',
      /catalogManaged is not/,
    ],
    [
      {
        configuration: { 'delta.enableRowTracking': 'true', 'delta.rowTrackingSuspended': 'true' },
      },
      '/configuration/delta.rowTrackingSuspended',
      /cannot both be "true"/,
    ],
  ]
  for (const [request, pointer, message] of cases) {
    const { faults, protocol } = derive(request)
    t.equal(protocol, undefined)
    const found = faults?.filter((fault) => fault.pointer === pointer)
    t.ok(
      found?.some((fault) => message.test(fault.message)),
      JSON.stringify(faults),
    )
    t.ok(faults?.every((fault) => Object.keys(fault).length === 2))
  }
  const both = derive({
    configuration: { 'delta.appendOnly': '1', 'delta.checkpointInterval': '0' },
  })
  t.equal(both.faults?.length, 2)
  const many = Array.from({ length: 200 }, (_, index) => [`delta.feature.f${index}`, 'supported'])
  t.equal(derive({ configuration: Object.fromEntries(many) }).faults?.length, faultsMax)
})
