/** An answer of the service. */
export interface Answer<Body> {
  status: number
  headers: Headers
  body: Body
}

/** A problem document (RFC 9457). */
export interface ProblemBody {
  code: string
  detail: string
}

/** A client of the service, as any program could be one. */
export interface Client {
  name: string
  /** Throws unless the answer is a success. */
  get: <Body>(path: string) => Promise<Body>
  /** As `get`, but for what may not be there: a 404 is answered as undefined. */
  find: <Body>(path: string) => Promise<Body | undefined>
  post: <Body>(
    path: string,
    body: object,
    headers?: Record<string, string>,
  ) => Promise<Answer<Body | ProblemBody>>
}

/** A client that gives itself a name. */
export function connect(address: string, name: string): Client {
  async function call<Body>(path: string, init: RequestInit): Promise<Answer<Body>> {
    const response = await fetch(`${address}${path}`, init)
    const body = (await response.json()) as Body
    return { status: response.status, headers: response.headers, body }
  }
  return {
    name,
    async get<Body>(path: string) {
      return expectStatus(await call<Body | ProblemBody>(path, {}), 200).body as Body
    },
    async find<Body>(path: string) {
      const answer = await call<Body | ProblemBody>(path, {})
      return answer.status === 404 ? undefined : (expectStatus(answer, 200).body as Body)
    },
    post: (path, body, headers = {}) =>
      call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
  }
}

/** Narrows to the answer of a success; throws with the problem otherwise. */
export function expectStatus<Body>(
  answer: Answer<Body | ProblemBody>,
  status: number,
): Answer<Body> {
  if (answer.status === status) return answer as Answer<Body>
  throw new Error(`answered ${answer.status}: ${JSON.stringify(answer.body)}`)
}
