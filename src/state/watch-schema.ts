import Type from 'typebox'
import { define, noNul, strictObject, Timestamp, Version } from '../http/schema.ts'
import { nameLengthMax } from './schema.ts'

export const WatchStateQuery = strictObject({
  prefix: Type.Optional(
    Type.String({ maxLength: nameLengthMax, ...noNul, description: 'What keys must begin with.' }),
  ),
  fromRevision: Type.Optional(
    Version('The first revision to send. Without it and Last-Event-ID: the next one.', {
      minimum: 1,
    }),
  ),
})

export const WatchStateHeaders = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,16}(\\.[0-9]{1,10})?$',
      description:
        'The id of the last event that was received: what follows it is sent. Goes before fromRevision. A revision, or a revision and a position with a dot between',
    }),
  ),
})

/** A stream as a watcher sees it. */
export const exampleStateEvents = `retry: 1000

event: put
id: 17.0
data: {"revision":17,"position":0,"key":"orders.offset","version":3,"created":false,"value":{"partition":3,"offset":1200},"updatedAt":"2026-11-20T09:00:00.000Z","more":true}

event: delete
id: 17
data: {"revision":17,"position":1,"key":"orders.lock","version":2,"updatedAt":"2026-11-20T09:00:00.000Z"}

event: bookmark
id: 21
data: {"revision":21}

`

const exampleWrite = {
  kind: 'put',
  revision: 17,
  position: 0,
  key: 'orders.offset',
  version: 3,
  created: false,
  value: { partition: 3, offset: 1200 },
  updatedAt: '2026-11-20T09:00:00.000Z',
}

export const EntryWrite = define(
  'EntryWrite',
  Type.Object(
    {
      kind: Type.Enum(['put', 'delete', 'expire'], { type: 'string' }),
      revision: Type.Integer({ minimum: 1 }),
      position: Type.Integer({ minimum: 0, description: 'Among the writes of the revision.' }),
      key: Type.String(),
      version: Type.Integer({ minimum: 1 }),
      created: Type.Optional(
        Type.Boolean({ description: 'Of a put: whether there was no entry before.' }),
      ),
      value: Type.Optional(Type.Unknown({ description: 'JSON, token for token.' })),
      valueBase64: Type.Optional(Type.String({ description: 'The value where it is not JSON.' })),
      contentType: Type.Optional(Type.String({ description: 'Of `valueBase64`.' })),
      metadata: Type.Optional(Type.Object({}, { additionalProperties: true })),
      updatedAt: Timestamp('When it was written.'),
      expiresAt: Type.Optional(Timestamp('From when on what was put is gone.')),
    },
    { description: 'A write to an entry.', examples: [exampleWrite] },
  ),
)

export const EntryHistory = define(
  'EntryHistory',
  Type.Object(
    {
      items: Type.Array(EntryWrite, { description: 'Newest first.' }),
      nextCursor: Type.Optional(Type.String()),
    },
    { examples: [{ items: [exampleWrite] }] },
  ),
)
