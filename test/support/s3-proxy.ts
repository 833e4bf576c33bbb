import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'

/** A request on its way, as the proxy sees it. */
export interface Passing {
  method: string
  /** Path and query. */
  url: string
  headers: IncomingMessage['headers']
}

/** What a server answered. */
interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

/** What is done to a request instead of passing it on and back. */
export interface Fault {
  /** Which requests. */
  on: (passing: Passing) => boolean
  /** How many of them; one when not said. */
  times?: number
  /** Called before it is passed on. The client's connection breaks when it answers `drop`. */
  before?: (passing: Passing) => Promise<Lie | undefined> | Lie | undefined
  /** Called with the server's answer, which it may change. */
  after?: (answer: Answer) => Promise<Lie | undefined> | Lie | undefined
}

/** What the client gets: a broken connection, another answer, or only the beginning of one. */
export type Lie = 'drop' | Partial<Answer> | { cutAt: number }

/** A way to an HTTP server on which things go wrong as they are told to. */
export interface HttpProxy {
  endpoint: string
  /** Adds a fault, tells how often it has struck, and ends it. */
  fault: (fault: Fault) => { struck: () => number; end: () => void }
  /** All requests so far, as `METHOD /path?query`. */
  seen: string[]
}

interface Armed extends Fault {
  left: number
  struck: number
}

/** Starts a proxy before an HTTP server for the life of a test. It passes on the name that the client asked for. */
export async function startHttpProxy(t: Test, target: string): Promise<HttpProxy> {
  const armed: Armed[] = []
  const seen: string[] = []
  const server = createServer(async (incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming
    const passing = { method, url, headers }
    seen.push(`${method} ${url}`)
    const fault = armed.find((one) => one.left > 0 && one.on(passing))
    if (fault !== undefined) {
      fault.left -= 1
      fault.struck += 1
    }
    try {
      const body = await buffer(incoming)
      const early = await fault?.before?.(passing)
      const answer = early === undefined ? await pass(target, passing, body) : nothing
      const late = early ?? (await fault?.after?.(answer))
      reply(outgoing, answer, late)
    } catch {
      outgoing.destroy()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    seen,
    fault(fault) {
      const one = { ...fault, left: fault.times ?? 1, struck: 0 }
      armed.push(one)
      const end = () => {
        one.left = 0
      }
      return { struck: () => one.struck, end }
    },
  }
}

const nothing: Answer = { status: 200, headers: {}, body: Buffer.alloc(0) }

async function pass(target: string, passing: Passing, body: Buffer): Promise<Answer> {
  const { method, url, headers } = passing
  const sent = request(new URL(url, target), { method, headers, agent: false })
  // Who has answered before it read all may cut the rest off.
  sent.on('error', () => {})
  sent.end(body)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await buffer(answer) }
}

function reply(outgoing: ServerResponse, answer: Answer, lie: Lie | undefined): void {
  if (lie === 'drop') {
    outgoing.destroy()
    return
  }
  if (lie !== undefined && 'cutAt' in lie) {
    outgoing.writeHead(answer.status, answer.headers)
    outgoing.write(answer.body.subarray(0, lie.cutAt), () => outgoing.destroy())
    return
  }
  const { status, headers, body } = { ...answer, ...lie }
  const length = lie?.body === undefined ? {} : { 'content-length': String(body.length) }
  const { 'transfer-encoding': _, ...kept } = headers
  outgoing.writeHead(status, { ...kept, ...length })
  outgoing.end(body)
}
