import { randomUUID } from 'node:crypto'

/** An answer as a test looks at it; `body` is parsed where it is JSON. */
export interface TestAnswer {
  status: number
  headers: Headers
  text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of every shape
  body: any
}

export interface CallOptions {
  json?: unknown
  /** A body to be sent as it is. */
  raw?: string | Uint8Array<ArrayBuffer>
  headers?: Record<string, string>
}

/** A client of one server. */
export interface Api {
  address: string
  call: (method: string, path: string, options?: CallOptions) => Promise<TestAnswer>
  get: (path: string, headers?: Record<string, string>) => Promise<TestAnswer>
  post: (path: string, json?: unknown, headers?: Record<string, string>) => Promise<TestAnswer>
  /** Creates a table with a name of its own and answers its id. */
  makeTable: (definition?: object) => Promise<string>
  /** Proposes a commit. */
  commit: (table: string, proposal: object, headers?: Record<string, string>) => Promise<TestAnswer>
  /** Waits until every commit of the table is published. */
  published: (table: string) => Promise<void>
}

export const plainSchema = {
  type: 'struct',
  fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }],
}

export function createApi(address: string): Api {
  const call: Api['call'] = async (method, path, { json, raw, headers = {} } = {}) => {
    const body = json === undefined ? raw : JSON.stringify(json)
    const response = await fetch(`${address}${path}`, {
      method,
      headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    })
    const text = await readText(response)
    const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    }
  }
  const post: Api['post'] = (path, json, headers = {}) => call('POST', path, { json, headers })
  const get: Api['get'] = (path, headers = {}) => call('GET', path, { headers })
  return {
    address,
    call,
    get,
    post,
    async makeTable(definition = {}) {
      const answer = await post('/tables', {
        name: `t_${randomUUID().replaceAll('-', '')}`,
        schema: plainSchema,
        ...definition,
      })
      if (answer.status !== 201) throw new Error(`no table was made: ${answer.text}`)
      return answer.body.id
    },
    commit: (table, proposal, headers = {}) => post(`/tables/${table}/commits`, proposal, headers),
    async published(table) {
      const deadline = Date.now() + 20_000
      while (Date.now() < deadline) {
        const { body } = await get(`/tables/${table}/mirror`)
        if (body.state === 'current') return
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      throw new Error('the table was not published within 20 s')
    },
  }
}

/** The body; of a stream of events, which has no end, what it says at first. */
async function readText(response: Response): Promise<string> {
  if (response.headers.get('content-type') !== 'text/event-stream') return response.text()
  for await (const chunk of response.body ?? []) return Buffer.from(chunk).toString('utf8')
  return ''
}

/** An add action of an unpartitioned table. */
export function add(path: string, more: object = {}): { add: Record<string, unknown> } {
  return {
    add: {
      path,
      partitionValues: {},
      size: 100,
      modificationTime: 1_700_000_000_000,
      dataChange: true,
      stats: '{"numRecords":10}',
      ...more,
    },
  }
}

/** A remove action of an unpartitioned table. */
export function remove(path: string, more: object = {}): { remove: Record<string, unknown> } {
  return { remove: { path, deletionTimestamp: 1_700_000_000_000, dataChange: true, ...more } }
}
