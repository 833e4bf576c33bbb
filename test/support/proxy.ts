import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { TestDatabase } from './postgres.ts'

/** A way to a test's database on which things go wrong as they are told to. */
export interface Proxy {
  /** Like `TestDatabase.url`. */
  url: string
  /** Resolves when PostgreSQL has answered that COMMIT; its sender never gets the answer. */
  loseCommit: (loss: Loss) => Promise<void>
  /** Has the next message with this text reach PostgreSQL as one that it does not understand. */
  garble: (text: string) => void
  /** Passes nothing on any more over the connections that are there, and does not close them. */
  freeze: () => void
}

/** Which COMMIT loses its answer. */
export interface Loss {
  /** Text of a statement of the transaction. */
  with: string
  /** What is done before the connection is cut. */
  before?: () => Promise<void>
}

interface Trap extends Loss {
  sprung: () => void
}

/** What is to go wrong. */
interface Plan {
  traps: Trap[]
  garbled: string[]
}

const socketName = '.s.PGSQL.5432'
/** As the driver sends it, a simple query; and the tag that it is answered with. */
const commitText = 'commit\0'
const commitTag = 'COMMIT\0'

/** Starts a proxy for the life of a test. */
export async function startProxy(t: Test, database: TestDatabase): Promise<Proxy> {
  const folder = await mkdtemp(join(tmpdir(), 'dw-proxy-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { host, user, database: name } = database.connection
  const sockets = new Set<Socket>()
  const plan: Plan = { traps: [], garbled: [] }
  const server = createServer((client) => {
    const upstream = connect(join(host, socketName))
    link(client, upstream, plan)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
  })
  server.listen(join(folder, socketName))
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: `postgres://${user}@${encodeURIComponent(folder)}/${name}`,
    loseCommit: (loss) => new Promise((sprung) => plan.traps.push({ ...loss, sprung })),
    garble: (text) => plan.garbled.push(text),
    freeze() {
      for (const socket of sockets) socket.pause()
    },
  }
}

/** Passes all through in both directions, until a trap springs. */
function link(client: Socket, upstream: Socket, plan: Plan): void {
  const prepared = new Map<string, string>()
  let said = ''
  let answered = ''
  let sprung: Trap | undefined
  client.on('data', (chunk) => {
    said += statementsIn(chunk.toString('latin1'), prepared)
    if (said.includes(commitText)) {
      sprung = takeSprung(plan.traps, said)
      said = ''
    }
    upstream.write(garble(chunk, plan.garbled))
  })
  upstream.on('data', async (chunk) => {
    if (sprung === undefined) {
      client.write(chunk)
      return
    }
    answered += chunk.toString('latin1')
    if (!answered.includes(commitTag)) return
    await sprung.before?.()
    cut()
    sprung.sprung()
  })
  const cut = () => {
    client.destroy()
    upstream.destroy()
  }
  for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut)
}

/** What was sent, and the texts of the prepared statements that it runs. */
function statementsIn(sent: string, prepared: Map<string, string>): string {
  for (const [, name = '', text = ''] of sent.matchAll(/P[\s\S]{4}(s\d+)\0([^\0]*)\0/g)) {
    prepared.set(name, text)
  }
  const run = [...sent.matchAll(/B[\s\S]{4}\0(s\d+)\0/g)].map(([, name = '']) => prepared.get(name))
  return [...run, sent].join('\n')
}

function garble(message: Buffer, texts: string[]): Buffer {
  const text = texts[0]
  const place = text === undefined ? -1 : message.indexOf(text)
  if (place < 0) return message
  texts.shift()
  return Buffer.from(message).fill('#', place, place + 1)
}

/** The trap that the COMMIT after these statements springs. */
function takeSprung(traps: Trap[], said: string): Trap | undefined {
  const index = traps.findIndex((trap) => said.includes(trap.with))
  return index < 0 ? undefined : traps.splice(index, 1)[0]
}
