/** Every refusal that the service can give: its status, its title, and what the caller can do about it. */
export const problems = {
  'invalid-request': {
    status: 400,
    title: 'The request has the wrong shape',
    remedy: 'Mend each fault listed in `errors`; `pointer` says where it is.',
  },
  'invalid-json': {
    status: 400,
    title: 'The body is not JSON',
    remedy: 'Send UTF-8 JSON; `detail` says where reading stopped.',
  },
  'invalid-cursor': {
    status: 400,
    title: 'The cursor does not belong to this list',
    remedy:
      'Use `nextCursor` as it was given, with the same path and filters; or begin again without one.',
  },
  'invalid-idempotency-key': {
    status: 400,
    title: 'The Idempotency-Key header cannot be used',
    remedy: 'Send one key of 1 to 255 printable ASCII characters, bare or as a quoted string.',
  },
  'route-not-found': {
    status: 404,
    title: 'Nothing is served at this address',
    remedy: 'See `/docs` for the addresses that are.',
  },
  'table-not-found': {
    status: 404,
    title: 'No such table',
    remedy: 'List the tables with `GET /tables`, dropped ones with `?dropped=true`.',
  },
  'app-transaction-not-found': {
    status: 404,
    title: 'The application has not written to the table',
    remedy: 'Begin with its first version.',
  },
  'operation-not-found': {
    status: 404,
    title: 'No such operation',
    remedy: 'Use the `operationId` with which `POST /maintenance/{kind}` was answered.',
  },
  'transaction-not-found': {
    status: 404,
    title: 'No such transaction',
    remedy: 'Use the `id` with which the transaction was answered, or list them.',
  },
  'run-not-found': {
    status: 404,
    title: 'No such run',
    remedy: 'Begin it with `POST /runs`, or list the runs.',
  },
  'namespace-not-found': {
    status: 404,
    title: 'No such namespace',
    remedy:
      'Make it with `PUT /state/{namespace}` or by writing an entry, or list the namespaces with `GET /state`.',
  },
  'entry-not-found': {
    status: 404,
    title: 'No such entry',
    remedy: 'List the entries with `GET /state/{namespace}/entries`.',
  },
  'election-not-found': {
    status: 404,
    title: 'No such election',
    remedy: 'It is made by the first who campaigns in it.',
  },
  'lock-not-found': {
    status: 404,
    title: 'No such lock',
    remedy:
      'A lock is there once somebody has acquired it; `GET /locks` lists those that are held.',
  },
  'table-not-staged': {
    status: 404,
    title: 'Nothing is staged for the table',
    remedy: 'See `tables` of `GET /transactions/{id}` for what is.',
  },
  'version-not-found': {
    status: 404,
    title: 'The table has no such version',
    remedy:
      'Ask for a version from 0 to `currentVersion`, or a timestamp not before the table was made.',
  },
  'revision-not-found': {
    status: 404,
    title: 'The namespace has no such revision yet',
    remedy:
      'Name a revision up to `currentRevision`. If there was one, the database is an older copy: read the entries again.',
  },
  'event-not-found': {
    status: 404,
    title: 'There is no such event yet',
    remedy:
      'Name an event up to `currentEvent`. If there was one, the database is an older copy: watch from the newest.',
  },
  'events-compacted': {
    status: 410,
    title: 'Events that were asked for are gone',
    remedy:
      'Read again what they were of, and watch from a revision or an event that is left: the oldest is `historyFrom`.',
  },
  'history-not-available': {
    status: 410,
    title: 'The history does not reach back so far',
    remedy: 'Ask for a version or revision from `historyFrom` on, or a timestamp not before it.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is not allowed here',
    remedy: 'Use one of the methods in the `Allow` header.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request did not arrive in time',
    remedy: 'Send it again, faster or smaller.',
  },
  'table-name-taken': {
    status: 409,
    title: 'Another table has this name',
    remedy: 'Choose another name. Names that differ only in case count as the same.',
  },
  'location-taken': {
    status: 409,
    title: 'The location is in use',
    remedy: 'Choose a folder that holds no table and lies neither inside nor around one.',
  },
  'table-dropped': {
    status: 409,
    title: 'The table is dropped',
    remedy: 'Bring it back with `POST /tables/{id}/undrop`, then repeat.',
  },
  'table-reserved': {
    status: 409,
    title: 'Another transaction has reserved the table',
    remedy:
      'Repeat once the transaction `transactionId` is over, at `expiresAt` at the latest; or wait for it with `POST /transactions/{id}/reserve` and `waitMs`.',
  },
  deadlock: {
    status: 409,
    title: 'Requests waited for each other in a circle, and this one gave way',
    remedy:
      'A transaction has lost its reservations and is still active: reserve all that it needs again, in one request, or roll it back. Who waited for a lock keeps those that it has: release them, and begin again. `cycle` says who waited for what.',
  },
  'lock-held': {
    status: 409,
    title: 'Others have the lock',
    remedy:
      'Wait for it with `waitMs`, or repeat later: `holders` say until when they have it at least, `waiters` who goes first.',
  },
  'not-leader': {
    status: 409,
    title: 'Another leads, or nobody does',
    remedy:
      'Do nothing that only the leader may do. Campaign with `waitMs` to be the next; `leader` says who leads now.',
  },
  'lock-lost': {
    status: 409,
    title: 'The lock is not held with this token',
    remedy:
      'Stop what it guards: the lease has run out, or was released or forced open. Acquire the lock again.',
  },
  'checkpoint-not-possible': {
    status: 409,
    title: 'No checkpoint can be written now',
    remedy: 'See `GET /tables/{id}/mirror` for what stands in its way, and settle that.',
  },
  'version-conflict': {
    status: 409,
    title: 'The version is taken',
    remedy: 'Read the table at `currentVersion`, decide again, and commit as version `actual`.',
  },
  'protocol-changed': {
    status: 409,
    title: 'The protocol was changed since it was read',
    remedy: 'Read the table at `currentVersion` and decide again; `winner` changed its protocol.',
  },
  'metadata-changed': {
    status: 409,
    title: 'The metadata was changed since it was read',
    remedy: 'Read the table at `currentVersion` and decide again; `winner` changed its metadata.',
  },
  'domain-metadata-conflict': {
    status: 409,
    title: 'Another commit wrote the same metadata domain',
    remedy: 'Read the table at `currentVersion` and decide again; `domain` is what collides.',
  },
  'concurrent-transaction': {
    status: 409,
    title: 'Another commit wrote the same app transaction',
    remedy: 'Look up how far the application `appId` has come, and go on from there.',
  },
  'concurrent-append': {
    status: 409,
    title: 'Files were added to what was read',
    remedy: 'Read the table at `currentVersion` and decide again; `path` is one of the new files.',
  },
  'concurrent-delete-read': {
    status: 409,
    title: 'A file that was read was removed',
    remedy: 'Read the table at `currentVersion` and decide again; `path` is one of the files.',
  },
  'concurrent-delete-delete': {
    status: 409,
    title: 'A file was removed by another commit as well',
    remedy: 'Read the table at `currentVersion` and decide again; `path` is one of the files.',
  },
  'read-too-old': {
    status: 409,
    title: 'Too much has happened since the version read',
    remedy: 'Read the table at `currentVersion` and decide again.',
  },
  'transaction-not-active': {
    status: 409,
    title: 'The transaction is not active',
    remedy: '`state` says what has become of it. Begin another, unless it is committed already.',
  },
  'run-finished': {
    status: 409,
    title: 'The run is finished',
    remedy: 'Begin another run; `runStatus` says how this one ended.',
  },
  'not-adoptable': {
    status: 409,
    title: 'What others wrote to the log cannot be taken in',
    remedy: 'Do as `detail` says: `ours` are versions committed here, `theirs` files in the log.',
  },
  'stale-fence': {
    status: 409,
    title: 'The token of a fence is not in force',
    remedy:
      'Stop the work that the lock guards: its lease has run out, or it was released or given to another. Acquire the lock again, read anew and decide again. `currentToken` is the token in force, null where nobody holds the lock.',
  },
  'idempotency-in-progress': {
    status: 409,
    title: 'The first request with this Idempotency-Key is still running',
    remedy: 'Repeat after `Retry-After`; the answer will be that of the first.',
  },
  'version-mismatch': {
    status: 412,
    title: 'The entry does not have the version that was expected',
    remedy: 'Read the entry, which has version `actual` (0 where there is none), and decide again.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    remedy:
      'Send at most `maxBytes`, or `maxValues` JSON values; split the work into several commits.',
  },
  'too-many-actions': {
    status: 413,
    title: 'The commit has too many actions',
    remedy: 'Send at most `maxActions` in one commit.',
  },
  'uri-too-long': {
    status: 414,
    title: 'The address is too long',
    remedy: 'Shorten the path or the query.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The content type is not understood',
    remedy: 'Send one of `supported`.',
  },
  'invalid-table': {
    status: 422,
    title: 'The table cannot be made like this',
    remedy: 'Mend each fault listed in `errors`.',
  },
  'location-not-allowed': {
    status: 422,
    title: 'The location is outside the allowed folders',
    remedy: 'Choose a folder below one of `MIRROR_ROOTS`, with no link that leads out of it.',
  },
  'delta-log-invalid': {
    status: 422,
    title: 'The Delta log cannot be taken over',
    remedy: 'Mend the log at `file` and `line`, or import another table. Nothing was written.',
  },
  'invalid-actions': {
    status: 422,
    title: 'The actions break the Delta protocol',
    remedy:
      'Mend each entry of `violations`; `index` is the place in `actions`. Nothing was written.',
  },
  'invalid-transaction': {
    status: 422,
    title: 'The transaction cannot be committed',
    remedy: 'Mend each entry of `violations`. Nothing was written.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'The Idempotency-Key was used for another request',
    remedy: 'Use a new key for a new request.',
  },
  'precondition-required': {
    status: 428,
    title: 'The namespace takes no write that does not say what it replaces',
    remedy: 'Send `If-Match`, `If-None-Match: *` or `expectedVersion`.',
  },
  overloaded: {
    status: 429,
    title: 'Too much is waiting',
    remedy: 'Repeat after `Retry-After`.',
  },
  'header-too-large': {
    status: 431,
    title: 'The headers are too large',
    remedy: 'Send fewer or shorter headers.',
  },
  internal: {
    status: 500,
    title: 'The service failed',
    remedy: 'Report the `instance`; the log holds the cause under it.',
  },
  'not-implemented': {
    status: 501,
    title: 'Not offered yet',
    remedy: 'Leave out what `detail` names.',
  },
  'backend-not-available': {
    status: 501,
    title: 'The server cannot hold locks with this backend',
    remedy:
      'Use `backend: "lease"`, or have the server reach PostgreSQL without a pooler of transactions in between.',
  },
  'database-unavailable': {
    status: 503,
    title: 'The database is away',
    remedy:
      'Repeat after `Retry-After`. Whether a write took effect may be unknown: repeat it with its Idempotency-Key, or look first.',
  },
  'storage-unavailable': {
    status: 503,
    title: 'The store of the location is away',
    remedy: 'Repeat after `Retry-After`. Nothing was changed.',
  },
} as const satisfies Record<string, { status: number; title: string; remedy: string }>

export type ProblemCode = keyof typeof problems

/** Members of a problem document beyond those of RFC 9457. */
export type ProblemFacts = Readonly<Record<string, unknown>>

/** A refusal, thrown where it is decided and rendered in one place as `application/problem+json`. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly facts: ProblemFacts
  readonly headers: Readonly<Record<string, string>>

  /** `detail` says to a person what was wrong, where, and what to do. */
  constructor(
    code: ProblemCode,
    detail: string,
    more: { facts?: ProblemFacts; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, more.cause === undefined ? undefined : { cause: more.cause })
    this.code = code
    this.facts = more.facts ?? {}
    this.headers = more.headers ?? {}
  }

  get status(): number {
    return problems[this.code].status
  }

  /** The RFC 9457 document; `instance` is the id of the request that was refused. */
  document(instance: string): Record<string, unknown> {
    const { status, title } = problems[this.code]
    return {
      type: `urn:deltaworks:problem:${this.code}`,
      title,
      status,
      detail: this.message,
      instance,
      code: this.code,
      ...this.facts,
    }
  }
}
