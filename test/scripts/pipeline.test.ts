import { fileURLToPath } from 'node:url'
import t from 'tap'
import { spawnProgram } from '../support/process.ts'
import { startTestServer } from '../support/server.ts'

const program = fileURLToPath(new URL('../../scripts/examples/pipeline.ts', import.meta.url))

t.test('the pipeline goes on where a killed one was, and ends once', async (t) => {
  const server = await startTestServer(t, {}, { mirror: false })
  const play = async () => {
    const asked = ['--server', server.address, '--run', 'night', '--batches', '3']
    const process = spawnProgram(t, [program, ...asked])
    t.strictSame(await process.ended, { code: 0, signal: null }, process.output())
    return process.stdout()
  }
  // The one that was killed had just been given its first number.
  await server.post('/runs', { runId: 'night' })
  await server.post('/runs/night/next')
  const first = await play()
  t.match(first, 'It goes on at number 1, with 1 open before it.')
  t.strictSame(first.match(/^batch \d: .*$/gm), [
    'batch 0: committed as version 1',
    'batch 1: committed as version 2',
    'batch 2: committed as version 3',
  ])
  t.match(await play(), 'The run has succeeded already')
  const run = await server.get('/runs/night')
  t.match(run.body, { status: 'succeeded', commitSequence: 3, metadata: { batches: 3 } })
  t.strictSame((await server.get('/runs/night/gaps')).body.items, [])
  const { items } = (await server.get('/runs/night/attempts?outcome=committed')).body
  t.equal(items.length, 9)
  const totals = (await server.get('/tables/shop.totals')).body
  t.match(totals, { version: 3, statistics: { numFiles: 1, numRecords: 4 } })
})
