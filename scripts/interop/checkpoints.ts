import { cp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, expectStatus } from '../demo/client.ts'
import type { Expected, ExpectedVersion } from '../demo/ledger.ts'

/** A copy of a table's folder that begins with a checkpoint: nothing before it is there. */
export interface Trimmed {
  what: string
  expected: Expected
}

interface Answer {
  version: number
}

interface Mirror {
  publishedVersion: number
}

interface Told {
  protocol: { readerFeatures?: string[]; writerFeatures?: string[] }
  metadata: { configuration: Record<string, string> }
}

const waitMsMax = 30_000

/**
 * Copies the folder of a table at several checkpoints of all kinds: the one that the service has written by itself,
 * and, asked for, one of each way to keep statistics and of either spec. The commits before are not copied.
 */
export async function trimAtCheckpoints(
  address: string,
  expected: Expected,
  folder: string,
): Promise<Trimmed[]> {
  const client = connect(address, 'checkpoints')
  const path = `/tables/${expected.table.id}`
  const log = join(expected.table.location, '_delta_log')
  const versions = [...expected.versions]
  const trimmed: Trimmed[] = []

  const copy = async (what: string, from: number) => {
    const location = join(folder, `from-${from}`)
    await cp(expected.table.location, location, { recursive: true })
    await removeBefore(join(location, '_delta_log'), from)
    const table = { ...expected.table, location }
    const kept = versions.filter(({ version }) => version >= from)
    trimmed.push({ what, expected: { table, versions: kept } })
  }
  const checkpoint = async (what: string) => {
    const { body } = expectStatus(await client.post<Answer>(`${path}/mirror/checkpoint`, {}), 200)
    await copy(what, body.version)
  }
  const setProperties = async (properties: Record<string, string>, feature?: string) => {
    const { protocol, metadata } = await client.get<Told>(path)
    const configuration = { ...metadata.configuration, ...properties }
    const actions = [
      ...(feature === undefined ? [] : [{ protocol: withFeature(protocol, feature) }]),
      { metaData: { ...metadata, configuration } },
    ]
    const operation = 'SET TBLPROPERTIES'
    const answer = await client.post<Answer>(`${path}/commits`, { operation, actions })
    const { version } = expectStatus(answer, 201).body
    versions.push({ ...(versions.at(-1) as ExpectedVersion), version, operation })
    await isPublished(version)
  }
  /** That its file is there is not enough: a checkpoint is of what is recorded to be published. */
  const isPublished = async (version: number) => {
    const deadline = Date.now() + waitMsMax
    while ((await client.get<Mirror>(`${path}/mirror`)).publishedVersion < version) {
      if (Date.now() > deadline) throw new Error(`version ${version} is not published`)
      await sleep(50)
    }
  }

  await appears(log, (name) => name.endsWith('10.checkpoint.parquet'))
  await copy('by itself', 10)
  await checkpoint('asked for')
  await setProperties({
    'delta.checkpoint.writeStatsAsJson': 'false',
    'delta.checkpoint.writeStatsAsStruct': 'true',
  })
  await checkpoint('statistics as struct alone')
  await setProperties({ 'delta.checkpointPolicy': 'v2' }, 'v2Checkpoint')
  await checkpoint('by the V2 spec')
  return trimmed
}

function withFeature({ readerFeatures = [], writerFeatures = [] }: Told['protocol'], name: string) {
  return {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: [...readerFeatures, name],
    writerFeatures: [...writerFeatures, name],
  }
}

async function appears(folder: string, wanted: (name: string) => boolean): Promise<void> {
  const deadline = Date.now() + waitMsMax
  while (!(await readdir(folder)).some(wanted)) {
    if (Date.now() > deadline) throw new Error(`${folder} stays without what is waited for`)
    await sleep(50)
  }
}

/** Removes all that tells of versions before this one. */
export async function removeBefore(log: string, version: number): Promise<void> {
  const names = (await readdir(log)).filter((name) => Number(name.slice(0, 20)) < version)
  await Promise.all(names.map((name) => rm(join(log, name))))
}
