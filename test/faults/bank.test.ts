import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Api, add } from '../support/api.ts'
import { balanceInLog, opening, startTransfers, sumOf, sumThrough } from './bank.ts'
import { startBothServers } from './both-servers.ts'
import { startClientsAt } from './pace.ts'

const accounts = 20
const total = accounts * opening
/** For how long money is moved; the full test takes 60. */
const seconds = Number(process.env['BANK_SECONDS'] ?? 6)
const betweenMishapsMs = 1500

t.setTimeout(120_000 + seconds * 5_000)

const levels = ['ReadCommitted', 'RepeatableRead', 'Serializable'] as const

t.test(
  `no money comes or goes in ${seconds} s while two servers and their database are killed`,
  async (t) => {
    const { dataDir, running, mishaps } = await startBothServers(t)
    const { first, second } = running
    const apis: Api[] = [first, second]
    const tables = await Promise.all(Array.from({ length: accounts }, () => first.makeTable()))
    const balances = tables.map((table) => ({ table, actions: [add('b-0', { size: opening })] }))
    t.equal((await first.post('/transactions', { commit: true, tables: balances })).status, 201)
    const transfers = startTransfers(apis, tables)
    const sums = new Map<string, number[]>()
    const views = ['snapshots', ...levels]
    const reading = startClientsAt(views.length * 2, async (pace, number) => {
      const view = views[number % views.length] as (typeof views)[number]
      const api = apis[number % 2] as Api
      const told: number[] = []
      sums.set(`${view} ${number}`, told)
      while (!pace.isEnded()) {
        const sum = view === 'snapshots' ? sumOf(api, tables) : sumThrough(api, view, tables)
        await sum.then(
          (money) => told.push(money),
          () => sleep(50),
        )
      }
    })
    const until = Date.now() + seconds * 1000
    for (let count = 0; Date.now() < until; count += 1) {
      await sleep(betweenMishapsMs)
      await mishaps[count % mishaps.length]?.()
    }
    await transfers.progress(40)
    await Promise.all([transfers.end(), reading.end()])
    for (const [view, told] of sums) {
      t.ok(told.length > 0, `${view}: ${told.length} sums`)
      if (view.startsWith('ReadCommitted')) continue
      t.strictSame([...new Set(told)], [total], `${view} sees one moment`)
    }
    t.strictSame(transfers.surprises, [])
    await checkTransactions(running.first, dataDir)
    const missed = (sums.get('ReadCommitted 1') ?? []).filter((sum) => sum !== total).length
    t.comment(
      `${transfers.committed.length} transfers; at ReadCommitted ${missed} sums were others`,
    )
    for (const server of [running.second, running.first]) {
      t.strictSame(await server.stop(), { code: 0, signal: null })
    }

    /** Every transaction is there, and the published logs balance at the versions of each that is looked at. */
    async function checkTransactions(api: Api, folder: string): Promise<void> {
      t.equal(await sumOf(api, tables), total)
      for (const table of tables) await api.published(table)
      const logs = new Map<string, Map<number, number>>()
      for (const table of tables) {
        const log = join(folder, 'tables', table, '_delta_log')
        const { body } = await api.get(`/tables/${table}`)
        const read = (name: string) => readFile(join(log, name), 'utf8')
        logs.set(table, await balanceInLog(read, body.version))
      }
      for (const transactionId of transfers.committed) {
        const { status, body } = await api.post('/snapshots', { tables, transactionId })
        if (status !== 200) t.fail(`${transactionId}: ${body.detail}`)
        const money = body.tables.map(
          ({ tableId, version }: { tableId: string; version: number }) =>
            logs.get(tableId)?.get(version) ?? Number.NaN,
        )
        const sum = money.reduce((all: number, one: number) => all + one, 0)
        if (sum !== total) t.fail(`the logs hold ${sum} as of ${transactionId}`)
      }
      t.ok(transfers.committed.length > 40, `${transfers.committed.length} transactions balance`)
    }
  },
)
