import Type from 'typebox'
import { noNul, strictObject, Version } from '../http/schema.ts'

const nameLengthMax = 512

const Namespace = Type.String({
  minLength: 1,
  maxLength: nameLengthMax,
  ...noNul,
  examples: ['consumers'],
})

const Key = Type.String({
  minLength: 1,
  maxLength: nameLengthMax,
  ...noNul,
  examples: ['orders.offset'],
})

export const WatchStateParams = Type.Object({ namespace: Namespace })
export const KeyHistoryParams = Type.Object({ namespace: Namespace, key: Key })

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
