import type { Db } from '../database/connect.ts'
import { findConsistencyToken } from '../database/consistency-token.ts'
import { inTransaction } from '../database/transaction.ts'
import { Problem } from '../problems.ts'
import { insertPublications, type Publication, type PublishedEvent } from './queries.ts'

/** Publishes to channels, many in one PostgreSQL transaction. */
export interface Publications {
  /** Answers when the event is durable. Throws `overloaded` where too many wait. */
  submit: (publication: Publication) => Promise<Published>
  /** Settles when all that was submitted is answered, also to callers who have gone. */
  idle: () => Promise<void>
}

/** What the caller of a publication gets. */
export interface Published {
  event: PublishedEvent
  /** Stands for a state in which the event is there. */
  consistencyToken: string | undefined
}

export interface PublicationsOptions {
  db: Db
  /** Publications that may wait at most. */
  queueMax: number
  /** Called with events that are durable. */
  onPublished: (events: readonly PublishedEvent[]) => void
}

interface Waiting extends PromiseWithResolvers<Published> {
  publication: Publication
}

/** A batch is closed once it holds so many. */
const publicationsMax = 1000
/** Characters of payloads in a batch, but for the last of it. */
const charactersMax = 4 * 1024 * 1024

/** While one batch is in flight the next one gathers, so batches grow with the load. */
export function createPublications({
  db,
  queueMax,
  onPublished,
}: PublicationsOptions): Publications {
  let waiting: Waiting[] = []
  let running: Promise<void> | undefined

  async function publish(batch: readonly Waiting[]): Promise<void> {
    const { events, consistencyToken } = await db.connection().execute(async (one) => {
      const publications = batch.map(({ publication }) => publication)
      const events = await inTransaction(one, (tx) => insertPublications(tx, publications))
      return { events, consistencyToken: await findConsistencyToken(one) }
    })
    onPublished(events)
    for (const [index, { resolve, reject }] of batch.entries()) {
      const event = events[index]
      if (event === undefined) reject(new Error('a publication was not answered'))
      else resolve({ event, consistencyToken })
    }
  }

  async function runAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, lengthOfBatch(waiting))
      waiting = waiting.slice(batch.length)
      await publish(batch).catch((error) => {
        for (const { reject } of batch) reject(error)
      })
    }
    running = undefined
  }

  return {
    submit(publication) {
      if (waiting.length >= queueMax) {
        const detail = `${waiting.length} publications are waiting already. Repeat in a moment.`
        throw new Problem('overloaded', detail, { headers: { 'retry-after': '1' } })
      }
      const turn = { publication, ...Promise.withResolvers<Published>() }
      waiting.push(turn)
      // All that arrives in this turn of the event loop may go into the same batch.
      running ??= new Promise<void>((resolve) => setImmediate(resolve)).then(runAll)
      return turn.promise
    },
    idle: async () => running,
  }
}

function lengthOfBatch(waiting: readonly Waiting[]): number {
  let characters = 0
  const end = waiting.findIndex(({ publication }, index) => {
    if (index >= publicationsMax || characters >= charactersMax) return true
    characters += publication.payload.length
    return false
  })
  return end === -1 ? waiting.length : end
}
