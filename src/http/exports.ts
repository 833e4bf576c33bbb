import { Readable } from 'node:stream'
import type { RawBuilder } from 'kysely'

/**
 * Opens the rows of a query as lines for a client, as one statement sees them. Throws as long as there can be a problem
 * document; what fails later breaks the answer off, so that it does not look whole. The query must be one for `copyOut`.
 */
export type OpenExport = (query: RawBuilder<unknown>) => Promise<Readable>

/** Exports of what `openRows` gives. A client who takes nothing for `stallMsMax` is cut off and frees his. */
export function createExports(openRows: OpenExport, stallMsMax: number): OpenExport {
  return async (query) => cutOffWhenStalled(await openRows(query), stallMsMax)
}

function cutOffWhenStalled(source: Readable, stallMsMax: number): Readable {
  async function* passOn() {
    for await (const chunk of source) {
      const timer = setTimeout(cutOff, stallMsMax)
      try {
        yield chunk
      } finally {
        clearTimeout(timer)
      }
    }
  }
  const passed = Readable.from(passOn(), { objectMode: false })
  const cutOff = () =>
    passed.destroy(new Error(`the client has taken nothing for ${stallMsMax} ms`))
  // A generator that waits in `yield` learns of nothing.
  passed.once('close', () => source.destroy())
  return passed
}
