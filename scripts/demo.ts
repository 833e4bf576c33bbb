import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from './demo/client.ts'
import { changeLeaders } from './demo/leader-scene.ts'
import type { Left } from './demo/ledger.ts'
import { showHistory, showMirror, travelInTime } from './demo/reading-scenes.ts'
import type { Stage } from './demo/stage.ts'
import { tellStory } from './demo/story.ts'
import {
  appendAtOnce,
  appendWithNewColumn,
  changeSchemaAtOnce,
  compactWhileAppending,
  createTable,
  deleteWhileAppending,
} from './demo/writing-scenes.ts'
import { startServerProcess } from './support/server-process.ts'

// Shows on a real server what the service does. With `--keep DIR` the folder stays, with the table in it and
// what a reader must find there in DIR/expected.json.

const { keep } = parseArgs({ options: { keep: { type: 'string' } } }).values
const folder = await freshFolder(keep)
try {
  const expected = await play(folder)
  if (keep !== undefined) {
    const path = join(folder, 'expected.json')
    await writeFile(path, `${JSON.stringify(expected, null, 2)}\n`)
    process.stdout.write(`\nKept in ${folder}; what it holds stands in ${path}.\n`)
  }
} finally {
  if (keep === undefined) await rm(folder, { recursive: true, force: true })
}

async function freshFolder(keep: string | undefined): Promise<string> {
  if (keep === undefined) return mkdtemp(join(tmpdir(), 'deltaworks-demo-'))
  const folder = resolve(keep)
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0) throw new Error(`${folder} is not empty`)
  return folder
}

async function play(dataDir: string): Promise<Left> {
  const story = tellStory()
  const server = await startServerProcess(dataDir)
  try {
    story.line(`A server on ${server.address}, with a PostgreSQL of its own in ${dataDir}`)
    const as = (name: string) => connect(server.address, name)
    const clients = {
      web: as('web shop'),
      store: as('store'),
      app: as('app'),
      market: as('market stall'),
      office: as('office'),
    }
    const stage: Stage = { story, clients, ...(await createTable(story, clients.office)) }
    const appended = await appendAtOnce(stage)
    await deleteWhileAppending(stage)
    await changeSchemaAtOnce(stage)
    await appendWithNewColumn(stage)
    await compactWhileAppending(stage)
    await showHistory(stage)
    const versions = await travelInTime(stage, appended)
    await showMirror(stage)
    const consumed = await changeLeaders(story, {
      address: server.address,
      client: clients.office,
      input: join(dataDir, 'stream.ndjson'),
    })
    const { location, partitionColumns } = stage.layout
    return { table: { ...stage.table, location, partitionColumns }, versions, consumed }
  } finally {
    await server.stop()
  }
}
