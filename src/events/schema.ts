import Type from 'typebox'
import { define, noNul, strictObject, Timestamp } from '../http/schema.ts'

export const ChannelParams = Type.Object({
  channel: Type.String({
    minLength: 1,
    maxLength: 512,
    ...noNul,
    description:
      'Name of the channel: any text without NUL; in an address a "/" is written %2F. It is made on the first event.',
    examples: ['orders'],
  }),
})

export const PublishQuery = strictObject({
  kind: Type.Optional(
    Type.String({
      maxLength: 100,
      pattern: '^[A-Za-z][A-Za-z0-9._:-]*$',
      default: 'message',
      description:
        'What kind of event it is: a letter, then letters, digits and ._:- It is the `event` of the stream.',
    }),
  ),
})

export const Payload = define(
  'Payload',
  Type.Unknown({
    description: 'Any JSON, kept token for token.',
    examples: [{ order: 1200, state: 'paid' }],
  }),
)

export const PublishedEvent = define(
  'PublishedEvent',
  Type.Object(
    {
      channel: Type.String(),
      event: Type.Integer({
        minimum: 1,
        description: 'Its number among those of the channel, which has no gap.',
      }),
      createdAt: Timestamp('When it was published.'),
    },
    {
      description: 'An event, as it was published.',
      examples: [{ channel: 'orders', event: 17, createdAt: '2026-11-20T09:00:00.000Z' }],
    },
  ),
)

/** A stream as a watcher sees it. */
export const exampleChannelEvents = `retry: 1000

event: bookmark
id: 16
data: {"event":16}

event: message
id: 17
data: {"event":17,"createdAt":"2026-11-20T09:00:00.000Z","payload":{"order":1200,"state":"paid"}}

`
