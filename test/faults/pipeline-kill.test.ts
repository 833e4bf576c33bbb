import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { type AddFile, readDataFile } from '../../scripts/demo/data-files.ts'
import { shopTables } from '../../scripts/examples/shop.ts'
import {
  type CommandProcess,
  makeUsedDataDir,
  spawnProgram,
  startServerProcess,
} from '../support/process.ts'

/** How often something is killed; the full test takes 200. */
const kills = Number(process.env['PIPELINE_KILLS'] ?? 3)
const batches = 20
/** Of the time that the pipeline takes undisturbed, the most that it is given before a kill. */
const lifeMax = 0.6
/** One kill in so many is that of the server. */
const serverKills = 4

t.setTimeout(120_000 + kills * 20_000)

const program = fileURLToPath(new URL('../../scripts/examples/pipeline.ts', import.meta.url))
const dataDir = await makeUsedDataDir(t)
let server = await startServerProcess(t, { DATA_DIR: dataDir })

/** What the pipeline says before it does anything. */
const begins = /are to be in the tables/

/** Runs the pipeline, which loads a shop of this name under a run of this name. */
function startPipeline(name: string): CommandProcess {
  const asked = ['--run', name, '--shop', name, '--batches', String(batches)]
  return spawnProgram(t, [program, '--server', server.address, ...asked])
}

/** What was seen of pipelines that were killed. */
const seen = { kills: 0, ofServer: 0, resumed: 0, openNumbers: 0, repeated: 0 }

/** `kill -9` of the pipeline, or of the server, which comes back at the same address. */
async function strike(pipeline: CommandProcess): Promise<void> {
  seen.kills += 1
  if (seen.kills % serverKills !== 0) return pipeline.signal('SIGKILL')
  seen.ofServer += 1
  await server.kill()
  const { port } = new URL(server.address)
  server = await startServerProcess(t, { DATA_DIR: dataDir, PORT: port })
}

/** Runs the pipeline until it comes to its end, with a kill at a random moment while there are kills left. */
async function playThroughKills(name: string, lifeMsMax: number): Promise<void> {
  for (;;) {
    const pipeline = startPipeline(name)
    await pipeline.says(begins)
    const isOver = pipeline.ended.then(() => true)
    const isAlive = sleep(Math.random() * lifeMsMax, false)
    if (seen.kills < kills && !(await Promise.race([isOver, isAlive]))) await strike(pipeline)
    const { code, signal } = await pipeline.ended
    note(pipeline.output())
    if (code === 0) return
    // Nothing but its own end and that of the server may stop it.
    const isKilled = signal === 'SIGKILL' || /fetch failed|terminated/.test(pipeline.stderr())
    if (!isKilled) throw new Error(pipeline.output())
  }
}

function note(output: string): void {
  const [, open] = /with (\d+) open/.exec(output) ?? []
  if (/goes on at number [1-9]/.test(output)) seen.resumed += 1
  seen.openNumbers += Number(open ?? 0)
  seen.repeated += output.match(/^batch \d+: duplicate/gm)?.length ?? 0
}

/** The tables of a shop: their versions, and of each live file what it holds, whatever its name. */
async function readShop(name: string) {
  const read = async (table: keyof typeof shopTables) => {
    const path = `/tables/${name}.${table}`
    const { version, location } = (await server.get(path)).body
    const { items } = (await server.get(`${path}/files?limit=1000`)).body
    const files = items.map(async ({ add }: { add: AddFile }) => {
      const rows = await readDataFile({ location, ...shopTables[table] }, add)
      const { partitionValues, size, stats } = add
      return JSON.stringify({ partitionValues, size, stats, rows })
    })
    return { version, files: (await Promise.all(files)).toSorted() }
  }
  return {
    orders: await read('orders'),
    totals: await read('totals'),
    batches: await read('batches'),
  }
}

t.test(`the pipeline comes to the same tables through ${kills} kills`, async (t) => {
  const calm = startPipeline('calm')
  await calm.says(begins)
  const begun = performance.now()
  t.strictSame(await calm.ended, { code: 0, signal: null }, calm.output())
  const lifeMsMax = lifeMax * (performance.now() - begun)
  const expected = await readShop('calm')
  t.equal(expected.orders.version, batches)
  let rounds = 0
  for (; seen.kills < kills; rounds += 1) {
    const name = `storm-${rounds}`
    await playThroughKills(name, lifeMsMax)
    t.strictSame(await readShop(name), expected)
    const gaps: { commitSequence: number }[] = (await server.get(`/runs/${name}/gaps`)).body.items
    t.notOk(gaps.some(({ commitSequence }) => commitSequence < batches))
    const committed = await server.get(`/runs/${name}/attempts?outcome=committed&limit=1000`)
    t.equal(committed.body.items.length, 3 * batches)
  }
  const numFiles = Object.values(expected).flatMap(({ files }) => files).length
  t.comment(`${rounds} runs with ${numFiles} live files each; ${JSON.stringify(seen)}`)
})
