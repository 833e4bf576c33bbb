import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestAnswer } from '../../support/api.ts'

/** A connection to a server, for what no HTTP client would send. */
export interface RawConnection {
  socket: Socket
  /** Sends bytes as they are, and waits until they are taken. */
  send: (bytes: string | Uint8Array) => Promise<void>
  /** The next whole answer; undefined when the connection ends first. */
  answer: () => Promise<TestAnswer | undefined>
}

export async function openConnection(address: string): Promise<RawConnection> {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  let received = Buffer.alloc(0)
  let closed = false
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes])
    socket.emit('heard')
  })
  // A server may close on a sender; what it said before is what counts.
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
    socket.emit('heard')
  })
  return {
    socket,
    async send(bytes) {
      if (!socket.write(bytes) && !closed) {
        const settled = new AbortController()
        const { signal } = settled
        await Promise.race([once(socket, 'drain', { signal }), once(socket, 'heard', { signal })])
        settled.abort()
      }
    },
    async answer() {
      for (;;) {
        const found = takeAnswer(received)
        if (found !== undefined) {
          received = received.subarray(found.length)
          return found.answer
        }
        if (closed) return undefined
        await once(socket, 'heard')
      }
    },
  }
}

/** Sends a request and answers what comes back, undefined where the connection is closed without an answer. */
export async function sendRaw(
  address: string,
  bytes: string | Uint8Array,
): Promise<TestAnswer | undefined> {
  const connection = await openConnection(address)
  await connection.send(bytes)
  const answer = await connection.answer()
  connection.socket.destroy()
  return answer
}

/** The first whole answer in what was received, and how long it is; interim answers are passed over. */
function takeAnswer(received: Buffer): { answer: TestAnswer; length: number } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [statusLine = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  const start = end + 4
  if (status < 200) {
    const next = takeAnswer(received.subarray(start))
    return next && { ...next, length: start + next.length }
  }
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const headers = new Headers(pairs)
  const length = start + Number(headers.get('content-length') ?? 0)
  if (received.length < length) return undefined
  const text = received.subarray(start, length).toString('utf8')
  return { answer: { status, headers, text, body: text && JSON.parse(text) }, length }
}
