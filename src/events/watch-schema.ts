import Type from 'typebox'
import { strictObject, Version } from '../http/schema.ts'

export const WatchEventsQuery = strictObject({
  fromEvent: Type.Optional(
    Version('The first event to send. Without it and Last-Event-ID: the next one.', { minimum: 1 }),
  ),
})

export const WatchEventsHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Version(
      'The id of the last event that was received: what follows it is sent. Goes before fromEvent.',
    ),
  ),
})

/** What is the same of every stream of events, for the description of its route. */
export const ofEventStreams =
  'Each event comes once and in order, with its number as `id`; a client that has lost the stream resumes with it as `Last-Event-ID`, at any server, and misses nothing. `bookmark` says up to which event all was sent: it comes at the beginning, and when nothing else has for a while. `compacted` ends the stream of a reader who has fallen behind what is kept, of which `historyFrom` is the oldest. With `Accept-Encoding: deflate` the stream is compressed.'
