import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { requestId } from './schema.ts'

/** An event of a stream; `data` is one line. */
export interface ServerSentEvent {
  event: string
  /** The place behind which a reader that sends it as Last-Event-ID goes on. */
  id?: string
  data: string
}

/** The event as it is sent. */
export function eventText({ event, id, data }: ServerSentEvent): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`
}

/** A stream of server-sent events to one reader. */
export interface EventStream {
  isOpen: () => boolean
  /**
   * Sends events. Settles when there is room for more, or the stream is closed; there must be one call at a time.
   * What is sent to a closed stream is lost.
   */
  send: (text: string | Buffer) => Promise<void>
  /** Ends the stream in order. */
  end: () => void
  /** Calls the listener once the stream is closed, by whomever. */
  onClose: (listener: () => void) => void
}

/** The streams of a server. */
export interface EventStreams {
  /** Answers a request with a stream that goes on until one side ends it; one for HEAD ends at once. */
  open: (request: FastifyRequest, reply: FastifyReply) => EventStream
}

export interface EventStreamOptions {
  /** Time for which a reader may leave no room before it is cut off. */
  blockedMsMax: number
  /** Time between two comments that keep idle connections alive. */
  heartbeatMs?: number
}

/** After what time a reader that has lost the stream should come back. */
const retryMs = 1000

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Proxies that gather answers would hold the events back.
  'x-accel-buffering': 'no',
  // The stream is the last answer of its connection, so a stop need not wait for another request.
  connection: 'close',
}

/** Lets routes answer with streams, and ends them all when the server closes. */
export function installEventStreams(
  app: FastifyInstance,
  { blockedMsMax, heartbeatMs = 15_000 }: EventStreamOptions,
): EventStreams {
  const closers = new Set<() => void>()
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
    for (const close of closers) close()
  })
  return {
    open(request, reply) {
      reply.hijack()
      const { raw } = reply
      raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), ...headers })
      const stream = streamTo(raw, { blockedMsMax, heartbeatMs })
      void stream.send(`retry: ${retryMs}\n\n`)
      // To a reader that leaves no room, an end in order would never get through.
      const close = () => (raw.writableNeedDrain ? raw.destroy() : stream.end())
      closers.add(close)
      stream.onClose(() => closers.delete(close))
      if (closing || request.method === 'HEAD') stream.end()
      return stream
    },
  }
}

function streamTo(
  raw: ServerResponse,
  { blockedMsMax, heartbeatMs }: Required<EventStreamOptions>,
): EventStream {
  let isOpen = !raw.destroyed
  let cutOff: NodeJS.Timeout | undefined
  let goOn = () => {}
  const write = (text: string | Buffer) => {
    if (isOpen && !raw.write(text)) cutOff ??= setTimeout(() => raw.destroy(), blockedMsMax)
  }
  const heartbeat = setInterval(() => {
    if (cutOff === undefined) write(': heartbeat\n\n')
  }, heartbeatMs)
  const unblock = () => {
    clearTimeout(cutOff)
    cutOff = undefined
    goOn()
  }
  const shut = () => {
    isOpen = false
    clearInterval(heartbeat)
    unblock()
  }
  raw.on('drain', unblock)
  raw.once('close', shut)
  if (!isOpen) shut()
  return {
    isOpen: () => isOpen,
    async send(text) {
      write(text)
      if (cutOff === undefined) return
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
    },
    end() {
      if (!isOpen) return
      shut()
      raw.end()
    },
    onClose(listener) {
      // The reader may have gone before its stream began.
      if (raw.destroyed) setImmediate(listener)
      else raw.once('close', listener)
    },
  }
}

/** The answer of a route that streams events; `example` is what stands in a stream. */
export function eventStreamResponse(description: string, example: string) {
  // Some tools take the schema for that of the whole stream, some for that of one event: neither is said.
  const schema = Type.Unknown({ description: 'Events, as in the HTML standard.' })
  return {
    description,
    headers: requestId,
    content: { 'text/event-stream': { schema, example } },
  }
}
