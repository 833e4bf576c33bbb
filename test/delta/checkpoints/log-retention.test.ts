import fc from 'fast-check'
import t from 'tap'
import {
  expiryCutoff,
  isExpired,
  isExpiredSidecar,
  searchCheckpoint,
  sidecarFileName,
} from '../../../src/delta/checkpoints/log-retention.ts'
import {
  checkpointFileName,
  checksumFileName,
  commitFileName,
  uuidCheckpointFileName,
} from '../../../src/delta/log-files.ts'

const day = 86_400_000

/** What a log has of one version. */
const version = fc.record({
  hasCommit: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.boolean()),
  hasChecksum: fc.boolean(),
  checkpoint: fc.oneof(
    { weight: 4, arbitrary: fc.constant('none') },
    fc.constantFrom('classic', 'uuid', 'parts', 'missing part', 'empty'),
  ),
  compactedFrom: fc.option(fc.nat(5), { freq: 8 }),
})

type Version = typeof version extends fc.Arbitrary<infer Value> ? Value : never

const digits = (number: number, count: number) => String(number).padStart(count, '0')
const part = (at: number, of: number) =>
  `${digits(at, 20)}.checkpoint.${digits(of, 10)}.0000000002.parquet`

function filesOf({ hasCommit, hasChecksum, checkpoint, compactedFrom }: Version, at: number) {
  const names = {
    none: [],
    classic: [checkpointFileName(at)],
    uuid: [uuidCheckpointFileName(at, 'aaaa-bbbb')],
    parts: [part(at, 1), part(at, 2)],
    'missing part': [part(at, 2)],
    empty: [],
  }[checkpoint]
  const from = at - (compactedFrom ?? at)
  return [
    ...(hasCommit ? [commitFileName(at)] : []),
    ...(hasChecksum ? [checksumFileName(at)] : []),
    ...(names ?? []),
    ...(compactedFrom !== null && from >= 0 && from < at
      ? [`${digits(from, 20)}.${digits(at, 20)}.compacted.json`]
      : []),
  ]
    .map((name) => ({ name, size: 1 }))
    .concat(checkpoint === 'empty' ? [{ name: checkpointFileName(at), size: 0 }] : [])
}

const others = ['.hidden.crc', '_last_checkpoint', 'strange.json'].map((name) => ({
  name,
  size: 1,
}))

/** Whether a reader finds its way to a version: from a whole checkpoint, or from version 0, commit by commit. */
function isReadable(
  versions: readonly Version[],
  names: ReadonlySet<string>,
  wanted: number,
): boolean {
  const has = (at: number) => names.has(commitFileName(at))
  const isBegin = (at: number) => {
    const kind = versions[at]?.checkpoint ?? 'none'
    const files = filesOf(versions[at] as Version, at).filter(({ name }) =>
      name.includes('.checkpoint.'),
    )
    return (
      !['none', 'missing part', 'empty'].includes(kind) &&
      files.every(({ name }) => names.has(name))
    )
  }
  for (let at = wanted; at >= 0; at -= 1) {
    if (isBegin(at)) return true
    if (!has(at)) return false
  }
  return true
}

t.test('all versions from the kept checkpoint on can be read as before', async (t) => {
  let cleaned = 0
  fc.assert(
    fc.property(
      fc.array(version, { minLength: 1, maxLength: 30 }),
      fc.nat(30),
      (versions, newestExpired) => {
        const files = [...versions.flatMap(filesOf), ...others].sort((a, b) =>
          a.name < b.name ? -1 : 1,
        )
        const search = searchCheckpoint(newestExpired)
        for (const file of files) if (!search.see(file)) break
        const found = search.found()
        const keptFrom = found?.version
        const before = new Set(files.map(({ name }) => name))
        const isWhole = (at: number) =>
          filesOf(versions[at] as Version, at).some(({ name }) => name.includes('.checkpoint.')) &&
          !['missing part', 'empty'].includes(versions[at]?.checkpoint ?? '')
        const wanted = versions.findLastIndex(
          ({ hasCommit }, at) => at <= newestExpired && hasCommit && isWhole(at),
        )
        if (keptFrom === undefined) return wanted === -1
        cleaned += 1
        const after = new Set([...before].filter((name) => !isExpired(name, keptFrom)))
        const isKept = versions.every(
          (_, at) =>
            at < keptFrom || isReadable(versions, before, at) === isReadable(versions, after, at),
        )
        const commits = versions.flatMap(({ hasCommit }, at) => (hasCommit ? [at] : []))
        return (
          keptFrom === wanted &&
          filesOf(versions[wanted] as Version, wanted).every(
            ({ name }) => found?.files.includes(name) === name.includes('.checkpoint.'),
          ) &&
          isKept &&
          others.every(({ name }) => after.has(name)) &&
          commits.every((at) => after.has(commitFileName(at)) === at >= keptFrom)
        )
      },
    ),
    { numRuns: 2000 },
  )
  t.ok(cleaned > 200, `${cleaned} logs were cleaned up`)
})

t.test('days go as a whole, at midnight UTC', async (t) => {
  const noon = Date.UTC(2026, 1, 10, 12)
  t.equal(expiryCutoff(noon, 3 * day), Date.UTC(2026, 1, 7))
  t.equal(expiryCutoff(noon, 0), Date.UTC(2026, 1, 10))
})

t.test(
  'of sidecars only our own go, once their checkpoint has gone, and none of yesterday',
  async (t) => {
    const now = Date.UTC(2026, 1, 10, 12)
    const of = (name: string, modifiedAt = now - 3 * day) =>
      isExpiredSidecar({ name, modifiedAt }, { keptFrom: 10, now })
    const uuid = '0e5f4f0c-5f0b-4b4e-9c53-1c2f6f3f8a31'
    t.equal(of(sidecarFileName(9, uuid)), true)
    t.equal(of(sidecarFileName(10, uuid)), false)
    t.equal(of(sidecarFileName(9, uuid), Date.UTC(2026, 1, 9, 1)), false)
    t.equal(of(sidecarFileName(9, uuid), Date.UTC(2026, 1, 8, 23)), true)
    t.equal(of(`${uuid}.parquet`), false)
    t.equal(of(`00000000000000000002.checkpoint.0000000001.0000000002.${uuid}.parquet`), false)
  },
)
