import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { connect, expectStatus } from '../demo/client.ts'
import { startServerProcess } from '../support/server-process.ts'
import type { Tools } from './tools.ts'

const settings = fileURLToPath(new URL('schemathesis/', import.meta.url))
const tables = 20
const keys = 1000
const begunTransactions = 200
const openTransactions = 200
const runs = 20
const namespaces = 20
const entries = 20
const outputBytesMax = 64 * 1024 * 1024

/** Drives every operation of the document that a server serves; answers the report, throws with it on a fault. */
export async function runSchemathesis({ python }: Tools): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'deltaworks-schemathesis-'))
  try {
    // Nobody ends what is reserved or held, so a wait for it would be in vain. What is open stays so until it is asked for.
    const server = await startServerProcess(join(folder, 'data'), {
      RESERVATION_WAIT_MS_MAX: '100',
      LOCK_WAIT_MS_MAX: '100',
      STATE_TRANSACTIONS_OPEN_MAX: String(2 * openTransactions),
      STATE_TRANSACTION_IDLE_MS_MAX: '3600000',
      STATE_TRANSACTION_AGE_MS_MAX: '3600000',
    })
    try {
      await cp(settings, folder, { recursive: true })
      const made = await makeTables(server.address)
      const ids = made.slice(0, tables)
      await writeWords(join(folder, 'tables.txt'), ids)
      await writeWords(join(folder, 'viewed.txt'), made.slice(tables))
      await writeWords(
        join(folder, 'transactions.txt'),
        await makeTransactions(server.address, ids),
      )
      await writeWords(join(folder, 'begun.txt'), await beginTransactions(server.address, ids))
      await writeWords(join(folder, 'open.txt'), await beginOnState(server.address))
      await hold(server.address)
      await writeWords(join(folder, 'runs.txt'), await beginRuns(server.address))
      await writeWords(join(folder, 'namespaces.txt'), await putEntries(server.address))
      await writeWords(join(folder, 'entries.txt'), numbered('entry', entries))
      await writeWords(join(folder, 'keys.txt'), numbered('key', keys))
      await writeWords(join(folder, 'reserving.txt'), numbered('reserving', keys))
      return await drive(join(dirname(python), 'schemathesis'), server.address, folder)
    } finally {
      await server.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function drive(program: string, address: string, cwd: string): Promise<string> {
  const args = ['--config-file', 'schemathesis.toml', 'run', `${address}/openapi.json`]
  const maxBuffer = outputBytesMax
  const { stdout } = await promisify(execFile)(program, [...args, '--no-color'], { cwd, maxBuffer })
  return stdout
}

function numbered(word: string, count: number): string[] {
  return Array.from({ length: count }, (_, number) => `${word}-${number}`)
}

/** One word in quotes a line: the format of a dictionary. */
function writeWords(path: string, words: readonly string[]): Promise<void> {
  return writeFile(path, words.map((word) => `"${word}"\n`).join(''))
}

/** Tables with a few versions each: one half to read, drop and commit to, the other to be looked at alone. */
async function makeTables(address: string): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const field = (name: string, type: string) => ({ name, type, nullable: true, metadata: {} })
  return Promise.all(
    Array.from({ length: 2 * tables }, async (_, number) => {
      const definition = {
        name: `driven.table_${number}`,
        schema: { type: 'struct', fields: [field('id', 'long'), field('day', 'date')] },
        partitionColumns: number % 2 === 0 ? [] : ['day'],
      }
      const { body } = expectStatus(await client.post<{ id: string }>('/tables', definition), 201)
      for (const version of [1, 2]) {
        const actions = [{ txn: { appId: 'seed', version } }]
        expectStatus(await client.post(`/tables/${body.id}/commits`, { actions }), 201)
      }
      return body.id
    }),
  )
}

/** A transaction on each of the tables. */
async function makeTransactions(address: string, ids: readonly string[]): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const made: string[] = []
  for (const table of ids) {
    const actions = [{ txn: { appId: 'seed', version: 3 } }]
    const transaction = { commit: true, tables: [{ table, actions }] }
    const { body } = expectStatus(
      await client.post<{ id: string }>('/transactions', transaction),
      201,
    )
    made.push(body.id)
  }
  return made
}

/** Transactions to be gone on with, each with something staged for every table. */
async function beginTransactions(address: string, ids: readonly string[]): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const begun: string[] = []
  for (let number = 0; number < begunTransactions; number += 1) {
    const actions = [{ txn: { appId: `begun-${number}`, version: 1 } }]
    const transaction = { tables: ids.map((table) => ({ table, actions })) }
    const { body } = expectStatus(
      await client.post<{ id: string }>('/transactions', transaction),
      201,
    )
    begun.push(body.id)
  }
  return begun
}

/** Interactive transactions on the state, each with a savepoint. They hold no connections, of which there are fewer. */
async function beginOnState(address: string): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const begun: string[] = []
  for (let number = 0; number < openTransactions; number += 1) {
    const terms = { isolationLevel: 'ReadCommitted' }
    const { body } = expectStatus(
      await client.post<{ txId: string }>('/state/transactions', terms),
      201,
    )
    const savepoints = `/state/transactions/${body.txId}/savepoints`
    expectStatus(await client.post(savepoints, { name: 'here' }), 201)
    begun.push(body.txId)
  }
  return begun
}

/** Runs, each with a number that was given out. */
async function beginRuns(address: string): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const begun: string[] = []
  for (let number = 0; number < runs; number += 1) {
    const runId = `run-${number}`
    expectStatus(await client.post('/runs', { runId }), 201)
    expectStatus(await client.post(`/runs/${runId}/next`, {}), 200)
    begun.push(runId)
  }
  return begun
}

/** Namespaces, each with the same keys; of each key a second version. */
async function putEntries(address: string): Promise<string[]> {
  const client = connect(address, 'schemathesis')
  const names = numbered('namespace', namespaces)
  for (const name of names) {
    for (const value of [1, 2]) {
      const operations = numbered('entry', entries).map((key) => ({ put: { key, value } }))
      expectStatus(await client.post(`/state/${name}/batch`, { operations }), 200)
    }
  }
  return names
}

/** A lock that is held, an election that is led, and a channel with events. */
async function hold(address: string): Promise<void> {
  const client = connect(address, 'schemathesis')
  const ttlMs = 600_000
  const paths = {
    '/locks/held/acquire': { holder: 'schemathesis', ttlMs },
    '/elections/held/campaign': { candidate: 'schemathesis', ttlMs },
  }
  for (const [path, body] of Object.entries(paths)) expectStatus(await client.post(path, body), 200)
  for (const event of ['first', 'second']) {
    expectStatus(await client.post('/events/held', { event }), 201)
  }
}
