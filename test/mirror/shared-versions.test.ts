import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { type Published, publishTables } from '../../src/mirror/publish-tables.ts'
import type { PublishJob } from '../../src/mirror/share-out.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { add } from '../support/api.ts'
import { startTestServer } from '../support/server.ts'
import { freeLock } from './free-lock.ts'

const server = await startTestServer(t, {}, { mirror: false })

t.test('the versions of a transaction appear together, and others before or after', async (t) => {
  const { a, b, single, together, publish, heights } = await makeScene()
  await single(a)
  await together(a, b)
  await single(a)
  await single(b)
  t.match(await publish([a]), [{ kind: 'published', versions: 2, more: true, awaits: [a, b] }])
  t.match(await publish([a]), [{ kind: 'held', awaits: [a, b] }])
  t.match(await publish([b]), [{ kind: 'published', versions: 1, awaits: [b, a] }])
  t.strictSame(await heights(), [1, 0, -1])
  t.match(await publish([a, b]), [
    { kind: 'published', versions: 2, ahead: 0, more: false },
    { kind: 'published', versions: 2, ahead: 0, more: false },
  ])
  t.strictSame(await heights(), [3, 2, -1])
})

t.test('what waits for others makes wait in turn', async (t) => {
  const { a, b, c, single, together, publish, heights } = await makeScene()
  await together(b, c)
  await together(a, b)
  await single(a)
  await publish([a, b])
  t.strictSame(await heights(), [0, 0, -1], 'a waits for b, and b for c')
  await publish([b, c])
  t.strictSame(await heights(), [0, 1, 1])
  await publish([a, b, c])
  t.strictSame(await heights(), [2, 2, 1])
})

t.test('a long row of transactions is published in few rounds', async (t) => {
  const { a, b, together, publish, heights } = await makeScene()
  for (let number = 0; number < 300; number += 1) await together(a, b)
  t.match(await publish([a, b]), [{ versions: 128 }, { versions: 128 }])
  t.match(await publish([a, b]), [{ versions: 128 }, { versions: 128 }])
  await publish([a, b])
  t.strictSame(await heights(), [300, 300, -1])
})

t.test('a transaction of one table, and one of duplicates, wait for nobody', async (t) => {
  const { a, b, together, publish } = await makeScene()
  await together(a)
  const idempotency = { appId: 'pipeline', version: 1 }
  await server.commit(b, { actions: [add('first')], idempotency })
  const tables = [
    { table: a, actions: [add('a')] },
    { table: b, actions: [add('again')], idempotency },
  ]
  t.match(await server.post('/transactions', { commit: true, tables }), { status: 201 })
  t.match(await publish([a]), [{ kind: 'published', versions: 3, ahead: 0, more: false }])
})

t.test('tables that a transaction makes and drops appear with the others', async (t) => {
  const { a, b, publish, heights, single, together } = await makeScene()
  const name = `t_${a.replaceAll('-', '')}_made`
  const create = { name, schema: { type: 'struct', fields: [] } }
  const { body } = await server.post('/transactions', {
    commit: true,
    tables: [{ table: a, actions: [add('a')] }, { create }],
  })
  const made = body.tables[1].tableId
  t.match(await publish([made]), [{ kind: 'held', awaits: [made, a] }])
  t.match(await publish([a, made]), [{ versions: 2 }, { versions: 1, more: false }])
  await together(a, b)
  await single(b)
  await server.call('DELETE', `/tables/${b}`)
  await publish([a])
  t.strictSame(await heights(), [1, -1, -1], 'what is dropped has its place in the order')
  await publish([a, b])
  t.strictSame(await heights(), [2, 2, -1])
})

t.test('a table that is not being published holds up none, and follows once it is', async (t) => {
  const ways: [name: string, Partial<Ways>][] = [
    [
      'paused',
      {
        stop: (b) => server.post(`/tables/${b}/mirror/pause`),
        mend: (b) => server.post(`/tables/${b}/mirror/resume`),
      },
    ],
    [
      'forked',
      {
        async stop(b, log) {
          await mkdir(log, { recursive: true })
          await writeFile(join(log, commitFileName(1)), 'foreign\n')
          await publishTables(server.db, { tableIds: [b], storage: server.storage, sweep: false })
        },
        async mend(b, log) {
          await rm(join(log, commitFileName(1)))
          await server.post(`/tables/${b}/mirror/retry`)
        },
      },
    ],
    [
      'failing',
      {
        async stop(b, log) {
          await mkdir(join(log, '..'), { recursive: true })
          await writeFile(log, 'no folder')
          await publishTables(server.db, { tableIds: [b], storage: server.storage, sweep: false })
        },
        async mend(b, log) {
          await rm(log)
          await server.post(`/tables/${b}/mirror/retry`)
        },
      },
    ],
    ['in a store that is left alone', { restingStores: ['local'] }],
  ]
  for (const [name, { stop, mend, restingStores }] of ways) {
    await t.test(name, async (t) => {
      const { a, b, single, together, publish, heights, log } = await makeScene()
      await single(b)
      await stop?.(b, log(b))
      await together(a, b)
      await single(a)
      const [own] = await publish([a], { ...(restingStores && { restingStores }) })
      t.match(own, { kind: 'published', versions: 3, ahead: 1, more: false })
      await mend?.(b, log(b))
      const [other] = await publish([b])
      t.match(other, { kind: 'published', ahead: 0, more: false })
      t.strictSame(await heights(), [2, 2, -1])
      await together(a, b)
      t.match(await publish([a]), [{ kind: 'held' }], 'from then on there is order again')
    })
  }
})

t.test('what fails while others wait for it holds them up for that round alone', async (t) => {
  const { a, b, single, together, publish, heights, log } = await makeScene()
  await single(b)
  await together(a, b)
  await single(a)
  await mkdir(join(log(b), commitFileName(1)), { recursive: true })
  const [own, other] = await publish([a, b])
  t.match(other, { kind: 'failed', error: /EISDIR/ })
  t.match(own, { kind: 'published', versions: 1, awaits: [a, b] }, 'it was there to meet it')
  t.match(await publish([a, b]), [{ kind: 'published', versions: 2, ahead: 1, more: false }])
  t.strictSame((await heights())[0], 2)
})

t.test('between the files of a transaction nothing that follows it appears', async (t) => {
  const { a, b, c, single, together, publish, heights } = await makeScene()
  await together(a, b)
  await single(a)
  await together(a, c)
  await single(c)
  const stalled = stallAt(server.storage, (path) => path.includes(b) && path.endsWith('1.json'))
  const publishing = publish([a, b, c], { storage: stalled.storage })
  await stalled.reached
  const isHalf = ([one, , third]: number[]) => one === 1 && third === 0
  while (!isHalf(await heights())) await new Promise(setImmediate)
  t.strictSame(await heights(), [1, 0, 0], 'half of the first, and not more')
  stalled.goOn()
  await publishing
  t.strictSame(await heights(), [3, 1, 2])
})

t.test(
  'when one of its files cannot appear, nothing follows the others in that round',
  async (t) => {
    const { a, b, single, together, publish, heights, log } = await makeScene()
    await together(a, b)
    await single(a)
    await mkdir(log(b), { recursive: true })
    await writeFile(join(log(b), commitFileName(1)), 'foreign\n')
    const [own, other] = await publish([a, b])
    t.match(other, { kind: 'forked' })
    t.match(own, { kind: 'published', versions: 2, more: true, awaits: undefined })
    t.strictSame((await heights())[0], 1)
    t.match(await publish([a, b]), [{ kind: 'published', versions: 1, more: false }])
  },
)

t.test('a part that is too large for a round with others goes with its transaction', async (t) => {
  const { a, b, publish, heights, single } = await makeScene()
  await single(a)
  const many = Array.from({ length: 4500 }, (_, index) => add(`file-${index}`))
  const tables = [
    { table: a, actions: [add('a')] },
    { table: b, actions: many },
  ]
  t.match(await server.post('/transactions', { commit: true, tables }), { status: 201 })
  t.match(await publish([a, b]), [
    { versions: 2, awaits: [a, b] },
    { versions: 1, more: true, awaits: [b, a] },
  ])
  t.match(await publish([a, b]), [
    { kind: 'held' },
    { kind: 'published', versions: 0, more: true, awaits: [b, a] },
  ])
  t.match(await publish([b]), [{ kind: 'held', awaits: [b, a] }])
  await publish([a, b], { isWhole: true })
  t.strictSame(await heights(), [2, 1, -1])
})

t.test('a table that another server holds is waited for', async (t) => {
  const { a, b, together, publish } = await makeScene()
  await together(a, b)
  await server.db.transaction().execute(async (tx) => {
    await tx.selectFrom('mirrors').select('state').where('table_id', '=', b).forUpdate().execute()
    t.match(await publish([a, b]), [{ kind: 'published', versions: 1, awaits: [a, b] }])
    t.match(await publish([a, b]), [{ kind: 'held' }, { kind: 'idle' }])
  })
  t.match(await publish([a, b]), [
    { versions: 1, more: false },
    { versions: 2, more: false },
  ])
})

const script = fileURLToPath(new URL('publish-process.ts', import.meta.url))

/** Where a publisher of a transaction over two tables is killed, and what of it stands in the two logs then. */
const kills: [step: string, count: number, halves: number[]][] = [
  ['link', 3, [0]],
  ['after link', 3, [1, 2]],
  ['after link', 4, [2]],
  ['sql:update mirrors', 1, [2]],
  ['after sql:update mirrors', 1, [2]],
]

for (const [step, count, halves] of kills) {
  t.test(`killed ${step} ${count}, the next publisher completes the transaction`, async (t) => {
    const { a, b, together, single, publish, heights } = await makeScene()
    await together(a, b)
    await single(a)
    // The first two links are those of the versions 0.
    await runUntilKilled(t, [a, b], [step, String(count)])
    await freeLock(server)
    const [before = 0, other = 0] = await heights()
    const half = [before, other].filter((height) => height > 0).length
    t.ok(halves.includes(half), `${half} of its files stand there`)
    t.ok(before <= 1 || half === 2, 'nothing follows half a transaction')
    await publish([a])
    const [alone = 0] = await heights()
    t.equal(alone, before, 'one table alone goes no further')
    await publish([a, b])
    t.strictSame(await heights(), [2, 1, -1])
  })
}

async function runUntilKilled(t: Test, tables: string[], step: [string, string]): Promise<void> {
  const root = join(server.dataDir, 'tables')
  const args = [script, server.database.url, tables.join(','), root, ...step]
  const child = spawn(process.execPath, args, { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  const [, signal] = await once(child, 'exit')
  t.equal(signal, 'SIGKILL')
}

/** How a table comes to be one that is not published, and one that is again. */
interface Ways {
  stop: (table: string, log: string) => Promise<unknown>
  mend: (table: string, log: string) => Promise<unknown>
  restingStores: string[]
}

async function togetherOf(...tables: string[]): Promise<void> {
  const parts = tables.map((table) => ({ table, actions: [add(crypto.randomUUID())] }))
  const { status, text } = await server.post('/transactions', { commit: true, tables: parts })
  if (status !== 201) throw new Error(text)
}

/** Three tables, and what can be done with them. */
async function makeScene() {
  const tables = await Promise.all([1, 2, 3].map(() => server.makeTable()))
  const [a = '', b = '', c = ''] = tables
  const log = (table: string) => join(server.dataDir, 'tables', table, '_delta_log')
  return {
    ...{ a, b, c, log },
    together: togetherOf,
    single: (table: string) => server.commit(table, { actions: [add(crypto.randomUUID())] }),
    async publish(tableIds: string[], more: Partial<PublishJob> = {}): Promise<Published[]> {
      const job = { tableIds, storage: server.storage, sweep: true, ...more }
      return [...(await publishTables(server.db, job)).values()]
    },
    /** The newest version that a reader sees of each table; -1 where there is none. */
    async heights(): Promise<number[]> {
      const lists = await Promise.all(tables.map((table) => readdir(log(table)).catch(() => [])))
      return lists.map((names) => names.filter((name) => !name.startsWith('.')).length - 1)
    },
  }
}

/** A storage in which the file at a place is not put before it is told to. */
function stallAt(storage: Storage, isMeant: (path: string) => boolean) {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  return {
    reached: reached.promise,
    goOn: gate.resolve,
    storage: {
      ...storage,
      async open(location: string) {
        const folder = await storage.open(location)
        const begin = folder.begin.bind(folder)
        return Object.assign(folder, {
          async begin(name: string) {
            const file = await begin(name)
            if (!isMeant(`${location}/${name}`)) return file
            const putIfAbsent = async () => {
              reached.resolve()
              await gate.promise
              return file.putIfAbsent()
            }
            return { ...file, putIfAbsent }
          },
        })
      },
    },
  }
}
