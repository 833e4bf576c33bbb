import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { checkLockHistory, type LockHistory } from '../histories/lock-history.ts'
import type { Api } from '../support/api.ts'
import { type CommandProcess, spawnProgram } from '../support/process.ts'
import { startBothServers } from './both-servers.ts'
import { type GuardedLock, readPlaces, startLockClients } from './lock-clients.ts'

/** Writes under tokens whose time is over; the full test makes 10,000. */
const attempts = Number(process.env['LOCK_ATTEMPTS'] ?? 1500)
/** How many times something goes wrong. */
const faults = Number(process.env['FAULTS'] ?? 6)
const pausedMs = 1500

t.setTimeout(180_000 + attempts * 60 + faults * 30_000)

const program = fileURLToPath(new URL('../../scripts/examples/guarded.ts', import.meta.url))

/** A client that is a process of its own, of the kind that the documentation shows. */
function startProcess(t: Test, { address }: Api, { lock }: GuardedLock): CommandProcess {
  const asked = ['--lock', lock, '--namespace', lock, '--ttlMs', '1000', '--steps', '100000']
  return spawnProgram(t, [program, '--server', address, ...asked, '--pauseMs', '10'])
}

/** Has a process that holds a lock stand still until its lease has run out; then it must find that out. */
async function pauseProcess(t: Test, api: Api, guarded: GuardedLock): Promise<void> {
  const process = startProcess(t, api, guarded)
  await Promise.race([process.says(/wrote step 3 /).catch(() => {}), process.ended])
  process.signal('SIGSTOP')
  await sleep(pausedMs)
  process.signal('SIGCONT')
  const { code } = await process.ended
  t.equal(code, 1, process.output().slice(-300))
}

t.test(`no late holder writes, in ${attempts} attempts and ${faults} faults`, async (t) => {
  const { running, mishaps } = await startBothServers(t, 'insert into state_history')
  const table = await running.first.makeTable()
  const locks = [{ lock: 'one' }, { lock: 'two' }, { lock: 'three', table }]
  const ofProcesses = { lock: 'process' }
  const pauseServer = async () => {
    const { first } = running
    first.signal('SIGSTOP')
    await sleep(pausedMs)
    first.signal('SIGCONT')
  }
  const all = [pauseServer, ...mishaps]
  const clients = startLockClients([running.first, running.second], { locks, count: 32 })
  for (let fault = 0; fault < faults; fault += 1) {
    await clients.progress(attempts / (faults + 1))
    await pauseProcess(t, running.second, ofProcesses)
    await all[fault % all.length]?.()
  }
  await clients.progress(attempts / (faults + 1))
  await clients.end()
  const { late, surprises } = clients
  t.strictSame(surprises, [])
  t.equal(late.written, 0)
  t.ok(late.refused + late.unknown >= attempts)
  t.ok(late.unknown < late.refused)
  const history = {
    ...clients.history,
    places: await readPlaces(running.second, [...locks, ofProcesses]),
  }
  t.strictSame(checkLockHistory(history), [])
  t.comment(`late: ${JSON.stringify(late)}; ${history.holdings.length} grants`)
  t.match(checkLockHistory(withLateWrite(history)), [/stands behind/], 'a late write is found')
  for (const server of [running.second, running.first]) {
    t.strictSame(await server.stop(), { code: 0, signal: null })
  }
})

/** The same, but that the first write of a place took effect once more at the end. */
function withLateWrite({ places, ...history }: LockHistory): LockHistory {
  const last = places.map(({ lock, tokens }) =>
    lock === 'process' ? { lock, tokens: [...tokens, ...tokens.slice(0, 1)] } : { lock, tokens },
  )
  return { ...history, places: last }
}
