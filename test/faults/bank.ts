import { setTimeout as sleep } from 'node:timers/promises'
import { commitFileName } from '../../src/delta/log-files.ts'
import { type Api, add, remove } from '../support/api.ts'
import { type Pace, pick, startClientsAt } from './pace.ts'

const clients = 16

/** What each account holds at first. */
export const opening = 1000

interface Balance {
  path: string
  amount: number
  version: number
}

/** A balance is the size of the one live file of its table. */
async function balanceAt(api: Api, path: string): Promise<Balance> {
  const { status, body } = await api.get(path)
  if (status !== 200) throw new Error(body?.detail)
  const [file, ...others] = body.items
  if (others.length > 0) throw new Error(`${others.length + 1} balances in one table`)
  return { path: file.add.path, amount: file.add.size, version: body.version }
}

async function sumAt(api: Api, paths: readonly string[]): Promise<number> {
  const balances = await Promise.all(paths.map((path) => balanceAt(api, path)))
  return balances.reduce((sum, { amount }) => sum + amount, 0)
}

/** The sum of all balances in one consistent view. */
export async function sumOf(api: Api, tables: readonly string[]): Promise<number> {
  const view = await api.post('/snapshots', { tables })
  if (view.status !== 200) throw new Error(view.text)
  const seen: { tableId: string; version: number }[] = view.body.tables
  return sumAt(
    api,
    seen.map(({ tableId, version }) => `/tables/${tableId}/files?version=${version}`),
  )
}

/** The sum of all balances, read one after the other through a transaction. */
export async function sumThrough(
  api: Api,
  isolationLevel: string,
  tables: readonly string[],
): Promise<number> {
  const begun = await api.post('/transactions', { isolationLevel })
  if (begun.status !== 201) throw new Error(begun.text)
  const way = `/transactions/${begun.body.id}`
  let sum = 0
  for (const table of tables) sum += (await balanceAt(api, `${way}/tables/${table}/files`)).amount
  await api.post(`${way}/rollback`)
  return sum
}

/** The balance at each version, from the files of a log alone. */
export async function balanceInLog(
  read: (name: string) => Promise<string>,
  newest: number,
): Promise<Map<number, number>> {
  const balances = new Map<number, number>()
  const live = new Map<string, number>()
  for (let version = 0; version <= newest; version += 1) {
    for (const line of (await read(commitFileName(version))).trimEnd().split('\n')) {
      const action = JSON.parse(line)
      if (action.remove !== undefined) live.delete(action.remove.path)
      if (action.add !== undefined) live.set(action.add.path, action.add.size)
    }
    balances.set(
      version,
      [...live.values()].reduce((sum, size) => sum + size, 0),
    )
  }
  return balances
}

const passing = ['database-unavailable', 'idempotency-in-progress', 'overloaded', 'shutting-down']

/** Moves money between random accounts until told to end, and repeats what got no answer under its key. */
export function startTransfers(apis: readonly Api[], tables: readonly string[]) {
  const surprises: string[] = []
  const committed: string[] = []
  let count = 0

  async function proposeTransfer(): Promise<{ key: string; tables: object[] } | undefined> {
    const [from, to] = [pick(tables), pick(tables)]
    if (from === to) return undefined
    const read = (table: string) => balanceAt(pick(apis), `/tables/${table}/files`)
    const [source, target] = await Promise.all([read(from), read(to)])
    const amount = Math.min(source.amount, 1 + Math.floor(Math.random() * 50))
    count += 1
    const key = `b-${count}`
    const change = (table: string, { path, version }: Balance, size: number) => ({
      table,
      expectedVersion: version + 1,
      actions: [remove(path), add(`${key}-${table}`, { size })],
    })
    return {
      key,
      tables: [
        change(from, source, source.amount - amount),
        change(to, target, target.amount + amount),
      ],
    }
  }

  async function transfer(pace: Pace): Promise<void> {
    const proposal = await proposeTransfer()
    if (proposal === undefined) return
    const { key, tables } = proposal
    for (;;) {
      const answer = await pick(apis)
        .post('/transactions', { commit: true, tables }, { 'idempotency-key': key })
        .catch(() => undefined)
      if (answer?.status === 201) {
        committed.push(answer.body.id)
        return pace.count()
      }
      const code = answer?.body?.code
      if (code === 'version-conflict') return
      if (answer !== undefined && !passing.includes(code)) surprises.push(answer.text)
      await sleep(50)
    }
  }

  const pace = startClientsAt(clients, async (own) => {
    while (!own.isEnded()) await transfer(own).catch(() => sleep(50))
  })
  return { ...pace, surprises, committed }
}
