import { parseArgs } from 'node:util'
import { connect, expectStatus } from '../demo/client.ts'
import { loadBatch, openShop, type Pair } from './shop.ts'

// A pipeline that can be killed at any moment and run again, as docs/pipelines.md tells. It tries nothing twice: whatever
// fails ends it, and to run it again is the way on.

interface Run {
  runId: string
  status: 'running' | 'succeeded' | 'failed'
  commitSequence: number
}

const { server, run: runId, shop: name, batches } = readOptions()
const client = connect(server, 'pipeline')
const tell = (text: string) => process.stdout.write(`${text}\n`)

tell(`${batches} batches are to be in the tables ${name}.*, under the run ${runId}`)
const begun = await client.post<Run>('/runs', { runId, label: `shop ${name}` })
const run = expectStatus(begun, begun.status === 200 ? 200 : 201).body
if (run.status === 'running') await load(run)
else tell(`The run has ${run.status} already: there is nothing to do.`)

/** Every number below that of the run was given out, so what is left to do of these is what the run calls a gap. */
async function load({ commitSequence: first }: Run): Promise<void> {
  const shop = await openShop(client, name)
  let open = await listOpen()
  tell(`It goes on at number ${first}, with ${open.length} open before it.`)
  const loaded = new Set<number>()
  for (let next = first; next < batches || open.length > 0; open = await listOpen()) {
    // In their order, for a table takes a number below its newest for a repetition.
    for (const number of open) {
      if (loaded.has(number)) throw new Error(`The number ${number} came too late for a table.`)
      const tables = await loadBatch(client, shop, { appId: runId, version: number })
      loaded.add(number)
      const fates = tables.map(({ status, version }) => `${status} as version ${version}`)
      tell(`batch ${number}: ${[...new Set(fates)].join(', ')}`)
    }
    if (next >= batches) continue
    const taken = await client.post<{ idempotency: Pair; commitSequence: number }>(
      `/runs/${runId}/next`,
      {},
    )
    next = expectStatus(taken, 200).body.commitSequence
  }
  const finish = { status: 'succeeded', metadata: { batches } }
  expectStatus(await client.post(`/runs/${runId}/finish`, finish), 200)
  tell(`The run has succeeded.`)
}

/** The first numbers of batches that were given out, to this process or to one that is gone, and that no table has. */
async function listOpen(): Promise<number[]> {
  const gaps = await client.get<{ items: { commitSequence: number }[] }>(`/runs/${runId}/gaps`)
  return gaps.items.map(({ commitSequence }) => commitSequence).filter((one) => one < batches)
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      server: { type: 'string', default: 'http://127.0.0.1:8080' },
      run: { type: 'string', default: 'shop-1' },
      shop: { type: 'string', default: 'shop' },
      batches: { type: 'string', default: '12' },
    },
  })
  return { ...values, batches: Number(values.batches) }
}
