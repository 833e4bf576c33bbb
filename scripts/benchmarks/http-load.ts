import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A load of requests over kept connections, one request at a time on each. */
export interface Load {
  address: string
  connections: number
  /** Ends after this time, or when `request` gives no more. */
  milliseconds: number
  /** Requests a second over all connections at most; without it each is sent when the one before is answered. */
  perSecond?: number
  /** The next request of a connection. */
  request: (connection: number, count: number) => WireRequest | undefined
  /** Takes each answer. Without it an answer other than 200 and 201 is an error. */
  answered?: (connection: number, answer: WireAnswer) => void
}

export interface WireRequest {
  /** POST unless it says otherwise. */
  method?: 'GET' | 'POST' | 'PUT'
  path: string
  /** JSON, in all but a GET. */
  body?: string
}

export interface WireAnswer {
  status: number
  body: string
}

export interface LoadResult {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

/** Runs a load and measures it. */
export function runLoad(load: Load): Promise<LoadResult> {
  const begin = performance.now()
  return runClients({
    ...load,
    async once(wire, connection, count) {
      if (load.perSecond !== undefined) {
        const turn = (count * load.connections + connection) / load.perSecond
        await sleep(Math.max(0, begin + turn * 1000 - performance.now()))
      }
      const request = load.request(connection, count)
      if (request === undefined) return undefined
      const sent = performance.now()
      const answer = await wire.send(request)
      const took = performance.now() - sent
      if (load.answered !== undefined) load.answered(connection, answer)
      else if (answer.status !== 200 && answer.status !== 201) throw new Error(answer.body)
      return took
    },
  })
}

/** Clients with a kept connection each, which do one thing after the other. */
export interface Clients {
  address: string
  connections: number
  /** Ends after this time, or when `once` answers nothing. */
  milliseconds: number
  /** Does the next thing of a connection, and answers how many milliseconds that took. */
  once: (wire: Wire, connection: number, count: number) => Promise<number | undefined>
}

/**
 * Runs clients and measures them. They are as thin as can be, for they share the machine with what they measure.
 */
export async function runClients(clients: Clients): Promise<LoadResult> {
  const { hostname, port } = new URL(clients.address)
  const begin = performance.now()
  const deadline = begin + clients.milliseconds
  const latencies: number[][] = await Promise.all(
    Array.from({ length: clients.connections }, async (_, connection) => {
      const wire = await openWire(hostname, Number(port))
      const own: number[] = []
      for (let count = 0; performance.now() < deadline; count += 1) {
        const took = await clients.once(wire, connection, count)
        if (took === undefined) break
        own.push(took)
      }
      wire.close()
      return own
    }),
  )
  const seconds = (performance.now() - begin) / 1000
  const sorted = Float64Array.from(latencies.flat()).sort()
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { perSecond: sorted.length / seconds, p50Ms: at(0.5) ?? 0, p99Ms: at(0.99) ?? 0 }
}

/** A kept connection, for one request at a time. */
export interface Wire {
  send: (request: WireRequest) => Promise<WireAnswer>
  close: () => void
}

async function openWire(host: string, port: number): Promise<Wire> {
  const socket: Socket = connect({ host, port, noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let waiting: PromiseWithResolvers<WireAnswer> | undefined
  let received = ''
  socket.setEncoding('latin1')
  socket.on('error', (error) => waiting?.reject(error))
  socket.on('data', (chunk: string) => {
    received += chunk
    const headEnd = received.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const length = Number(/content-length: (\d+)/i.exec(received)?.[1])
    if (Number.isNaN(length)) waiting?.reject(new Error('an answer told no Content-Length'))
    if (received.length < headEnd + 4 + length) return
    const answer = { status: Number(received.slice(9, 12)), body: received.slice(headEnd + 4) }
    received = ''
    waiting?.resolve(answer)
  })
  return {
    send(request) {
      waiting = Promise.withResolvers()
      socket.write(requestText(request))
      return waiting.promise
    },
    close: () => socket.destroy(),
  }
}

function requestText({ method = 'POST', path, body }: WireRequest): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: bench\r\n`
  if (body === undefined) return `${head}\r\n`
  return `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
