import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { RawBuilder } from 'kysely'
import type { Pool } from '../database/connect.ts'
import { copyOut } from '../database/copy-out.ts'

/**
 * Opens the rows of a query as lines for a client, as one statement sees them. Throws as long as there can be a problem
 * document; what fails later breaks the answer off, so that it does not look whole. The query must be one for `copyOut`.
 */
export type OpenExport = (query: RawBuilder<unknown>) => Promise<Readable>

/** Exports over connections of `copyPool`. A client who takes nothing for `stallMsMax` is cut off and frees his. */
export function createExports(copyPool: Pool, stallMsMax: number): OpenExport {
  return async (query) => {
    const rows = await copyOut(copyPool, query)
    // Comes with the first bytes or with the end.
    await once(rows, 'readable')
    return cutOffWhenStalled(rows, stallMsMax)
  }
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
