import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { startTestServer } from './support/server.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** The commands of the console blocks, each with what it prints. */
function readSession(): { command: string; output: string }[] {
  const blocks = [...readme.matchAll(/```console\n(.*?)```/gs)].map(([, text = '']) => text)
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((entry) => {
        // A command goes on over several lines while a quote is open.
        const lines = entry.split('\n')
        let end = 1
        while (lines.slice(0, end).join('\n').split("'").length % 2 === 0) end += 1
        return { command: lines.slice(0, end).join('\n'), output: lines.slice(end).join('\n') }
      }),
  )
}

/** Ids and times differ from run to run. */
function timeless(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/"(inCommitTimestamp|timestamp)":\d+/g, '"$1":0')
    .replaceAll(/"lagMs":\d+/g, '"lagMs":0')
    .replaceAll(/"(createdAt|updatedAt)":"[^"]+"/g, '"$1":""')
}

t.test('the session of the README prints what the README says', async (t) => {
  const server = await startTestServer(t)
  const session = readSession()
  t.ok(session.length >= 6)
  for (const { command, output } of session) {
    if (command.includes('/mirror')) await server.published('sales.orders')
    const here = command.replaceAll('localhost:8080', server.address)
    const { stdout } = await promisify(execFile)('sh', ['-c', here])
    const printed = stdout === '' || stdout.endsWith('\n') ? stdout : `${stdout}\n`
    t.equal(timeless(printed), timeless(output), command)
  }
})
