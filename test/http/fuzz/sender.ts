import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { TestAnswer } from '../../support/api.ts'
import type { FuzzRequest } from './requests.ts'

/** Sends requests as they are, also those that `fetch` would mend. */
export function createSender(t: Test, address: string): (made: FuzzRequest) => Promise<TestAnswer> {
  const { hostname, port } = new URL(address)
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  return ({ method, path, headers, body }) => {
    const { promise, resolve, reject } = Promise.withResolvers<TestAnswer>()
    const sent = request({ hostname, port, method, path, headers, agent }, async (response) => {
      const { statusCode: status = 0, headers: received } = response
      const answer = isStream(received) ? await firstOf(response) : await text(response)
      const isJson = /[/+]json/.test(received['content-type'] ?? '')
      resolve({
        status,
        headers: new Headers(received as Record<string, string>),
        text: answer,
        body: isJson ? JSON.parse(answer) : undefined,
      })
    })
    sent.on('error', reject)
    sent.end(body)
    return promise
  }
}

const isStream = (headers: IncomingHttpHeaders) => headers['content-type'] === 'text/event-stream'

/** What a stream of events says at first; the rest, which has no end, is not waited for. */
async function firstOf(response: IncomingMessage): Promise<string> {
  for await (const chunk of response) return String(chunk)
  return ''
}
