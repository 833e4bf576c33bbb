import { once } from 'node:events'
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'

/** An event as a test looks at it; `data` is parsed. */
export interface TestEvent {
  event: string
  id?: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into data of every shape
  data: any
}

/** A stream of server-sent events, read as it comes. */
export interface TestStream {
  headers: IncomingHttpHeaders
  events: readonly TestEvent[]
  comments: readonly string[]
  /** Resolves when that many events are here. */
  until: (count: number) => Promise<readonly TestEvent[]>
  /** Resolves when an event with that id is here. */
  untilId: (id: string) => Promise<readonly TestEvent[]>
  /** Settles when the stream is over; true when its server ended it in order. */
  over: Promise<boolean>
  /** Reads no more, as a reader does that hangs. */
  hang: () => void
  /** Reads on after that. */
  goOn: () => void
  close: () => void
}

/** Opens a stream; throws with the answer when there is none. */
export async function openStream(
  url: string,
  headers: Record<string, string> = {},
): Promise<TestStream> {
  const request = get(url, { headers, agent: false })
  const [response]: IncomingMessage[] = await once(request, 'response')
  if (response === undefined) throw new Error('there is no answer')
  response.setEncoding('utf8')
  if (response.statusCode !== 200) throw new Error((await response.toArray()).join(''))
  const events: TestEvent[] = []
  const comments: string[] = []
  let rest = ''
  response.on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      if (block.startsWith(':')) comments.push(block.slice(1).trim())
      else if (!block.startsWith('retry:')) events.push(readEvent(block))
    }
    response.emit('read')
  })
  response.on('error', () => {})
  const over = new Promise<boolean>((resolve) => {
    response.once('close', () => resolve(response.complete))
  })
  const untilSeen = async (isSeen: () => boolean) => {
    let look = () => {}
    const seen = new Promise<void>((resolve) => {
      look = () => {
        if (isSeen()) resolve()
      }
      response.on('read', look)
      look()
    })
    await Promise.race([seen, over])
    response.off('read', look)
    return events
  }
  return {
    headers: response.headers,
    events,
    comments,
    until: (count) => untilSeen(() => events.length >= count),
    untilId: (id) => untilSeen(() => events.some((one) => one.id === id)),
    over,
    hang: () => response.pause(),
    goOn: () => response.resume(),
    close: () => request.destroy(),
  }
}

function readEvent(block: string): TestEvent {
  const fields = block.split('\n').map((line) => /^(\w+): (.*)$/.exec(line)?.slice(1) ?? [])
  const { event, id, data, ...others } = Object.fromEntries(fields)
  if (Object.keys(others).length > 0) throw new Error(`not an event: ${block}`)
  return { event, ...(id !== undefined && { id }), data: JSON.parse(data) }
}
