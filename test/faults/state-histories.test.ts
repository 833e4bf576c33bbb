import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { linearizeByKey } from '../histories/linearizability.ts'
import { registerModel } from '../histories/register-model.ts'
import { startBothServers } from './both-servers.ts'
import { type EntryOperation, startStateClients } from './state-clients.ts'

/** How many times something goes wrong; the full test takes 40. */
const faults = Number(process.env['FAULTS'] ?? 5)
const writesBetween = Number(process.env['WRITES_BETWEEN'] ?? 150)
const pausedMs = 2000
const keys = ['a', 'b', 'c', 'd', 'e']

t.setTimeout(120_000 + faults * 30_000)

t.test(
  `each entry behaves as one copy for 32 clients of two servers, in ${faults} faults`,
  async (t) => {
    const { running, mishaps } = await startBothServers(t, 'insert into state_history')
    const pause = async () => {
      const { first } = running
      first.signal('SIGSTOP')
      await sleep(pausedMs)
      first.signal('SIGCONT')
    }
    const all = [pause, ...mishaps]
    const clients = startStateClients([running.first, running.second], { keys, count: 32 })
    for (let fault = 0; fault < faults; fault += 1) {
      await clients.progress(writesBetween)
      await all[fault % all.length]?.()
    }
    await clients.progress(writesBetween)
    await clients.end()
    for (const server of [running.first, running.second]) await clients.readAll(server)
    const { history, surprises } = clients
    t.strictSame(surprises, [])
    t.strictSame(judge(history), { verdict: 'linearizable', faults: [] })
    const counts = Map.groupBy(history, ({ output }) => output?.kind ?? 'unknown')
    for (const kind of ['found', 'absent', 'written', 'deleted', 'refused', 'unknown'] as const) {
      t.ok(counts.has(kind), `some were ${kind}`)
    }
    t.comment([...counts].map(([kind, { length }]) => `${length} × ${kind}`).join(', '))
    t.equal(judge(withStaleRead(history)).verdict, 'not linearizable', 'a stale read is found')
    for (const server of [running.second, running.first]) {
      t.strictSame(await server.stop(), { code: 0, signal: null })
    }
  },
)

function judge(history: readonly EntryOperation[]) {
  const keyOf = (operation: object) => (operation as EntryOperation).key
  return linearizeByKey(history, { model: registerModel('counts'), keyOf })
}

/** The same history, but that the last read of a key that found something was answered as the first. */
function withStaleRead(history: readonly EntryOperation[]): EntryOperation[] {
  const finds = history.filter(({ output }) => output?.kind === 'found')
  const last = finds.at(-1)
  const first = finds.find(({ key }) => key === last?.key)
  return history.map((one) => (one === last && first ? { ...one, output: first.output } : one))
}
