import type { Db } from '../database/connect.ts'
import { applyOnce } from '../idempotency/apply-once.ts'
import type { Answer, IdempotentRequest, WriteOutcome } from '../idempotency/rules.ts'
import type { Problem } from '../problems.ts'
import type { Publications } from './publications.ts'
import { insertPublications, type Publication, type PublishedEvent } from './queries.ts'

/** What publishing needs. */
export interface PublishContext {
  db: Db
  publications: Publications
  idempotencyRetentionMs: number
  /** Called with events that are durable. */
  onPublished: (events: readonly PublishedEvent[]) => void
}

/** Publishes one event; one that is to apply once goes by itself, with its key. */
export async function publish(
  { db, publications, idempotencyRetentionMs, onPublished }: PublishContext,
  publication: Publication,
  asked: {
    idempotent: IdempotentRequest | undefined
    answer: (result: PublishedEvent | Problem) => Answer
  },
): Promise<WriteOutcome> {
  if (asked.idempotent === undefined) {
    const { event, consistencyToken } = await publications.submit(publication)
    return { answer: asked.answer(event), replayed: false, consistencyToken }
  }
  let published: PublishedEvent[] = []
  const outcome = await applyOnce(db, {
    request: asked.idempotent,
    retentionMs: idempotencyRetentionMs,
    answer: asked.answer,
    work: async (tx) => {
      published = await insertPublications(tx, [publication])
      const [event] = published
      if (event === undefined) throw new Error('a publication was not answered')
      return event
    },
  })
  onPublished(published)
  return outcome
}
