import Type, { type Static } from 'typebox'
import { define, noNul, strictObject, Timestamp } from '../http/schema.ts'

/** A name that stands in addresses. */
const Name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[\\w.:+@=~-][\\w.:+@=~/-]*$',
  description: 'Name of the lock: letters, digits and "._:+@=~-/", the first no slash.',
  examples: ['nightly-load'],
})

export const LockParams = Type.Object({ name: Name })

export const HolderName = Type.String({
  minLength: 1,
  maxLength: 255,
  ...noNul,
  description:
    'Who asks, such as host, process and a random part, as text without NUL: who asks by the same name is the same. The id of a transaction stands for the transaction.',
  examples: ['loader-7/4211/f3a9'],
})

export const TtlMs = Type.Integer({
  minimum: 100,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Time for which the lease runs unless it is renewed, LOCK_TTL_MS_MAX at most.',
})

export const Token = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Rises with every grant of the lock.',
})

const Mode = Type.Enum(['exclusive', 'shared'], {
  type: 'string',
  default: 'exclusive',
  description: 'Whether the holder has it alone, or beside others who share it.',
})

const Priority = Type.Integer({
  minimum: 0,
  maximum: 9,
  default: 0,
  description: 'Who has the higher one goes first; of the same, who came first.',
})

const Metadata = Type.Object(
  {},
  { additionalProperties: true, description: 'Anything about the holder, kept token for token.' },
)

const exampleGrant = {
  name: 'nightly-load',
  holder: 'loader-7/4211/f3a9',
  mode: 'exclusive',
  token: 42,
  expiresAt: '2026-11-20T01:00:30.000Z',
}

export const AcquireLock = define(
  'AcquireLock',
  strictObject(
    {
      holder: HolderName,
      ttlMs: TtlMs,
      waitMs: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          default: 0,
          description:
            'Time for which the request may wait while others have the lock, LOCK_WAIT_MS_MAX at most.',
        }),
      ),
      mode: Type.Optional(Mode),
      priority: Type.Optional(Priority),
      metadata: Type.Optional(Metadata),
      lockDelayMs: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          default: 0,
          description:
            'Time for which nobody gets the lock should this holder let it expire, LOCK_DELAY_MS_MAX at most. After a release there is none.',
        }),
      ),
      backend: Type.Optional(
        Type.Enum(['lease', 'advisory'], {
          type: 'string',
          default: 'lease',
          description: 'Whether the lock is a lease, or an advisory lock of PostgreSQL.',
        }),
      ),
      advisoryKey: Type.Optional(
        Type.Integer({
          minimum: Number.MIN_SAFE_INTEGER,
          maximum: Number.MAX_SAFE_INTEGER,
          description: 'Key of the advisory lock.',
        }),
      ),
    },
    {
      description: 'Who asks for a lock, and how.',
      examples: [{ holder: 'loader-7/4211/f3a9', ttlMs: 30_000, waitMs: 5000 }],
    },
  ),
)
export type AcquireLock = Static<typeof AcquireLock>

export const RenewLock = define(
  'RenewLock',
  strictObject(
    { holder: HolderName, token: Token, ttlMs: Type.Optional(TtlMs) },
    {
      description: 'A lease that is to begin anew; without `ttlMs` for as long as before.',
      examples: [{ holder: 'loader-7/4211/f3a9', token: 1 }],
    },
  ),
)

export const ReleaseLock = define(
  'ReleaseLock',
  strictObject(
    { holder: HolderName, token: Token },
    {
      description: 'A lock that is to be given free.',
      examples: [{ holder: 'loader-7/4211/f3a9', token: 1 }],
    },
  ),
)

export const LockGrant = define(
  'LockGrant',
  Type.Object(
    {
      name: Type.String(),
      holder: Type.String(),
      mode: Mode,
      token: Token,
      expiresAt: Timestamp('When the lease runs out unless it is renewed, by the database clock.'),
    },
    { description: 'A lock that is held.', examples: [exampleGrant] },
  ),
)

export const LockRelease = define(
  'LockRelease',
  Type.Object(
    { name: Type.String(), holder: Type.String(), token: Token },
    {
      description: 'A lock that was given free.',
      examples: [{ name: 'nightly-load', holder: 'loader-7/4211/f3a9', token: 42 }],
    },
  ),
)

export const LockHolder = define(
  'LockHolder',
  Type.Object(
    {
      holder: Type.String(),
      mode: Mode,
      token: Token,
      grantedAt: Timestamp('Since when.'),
      expiresAt: Timestamp('Until when, unless renewed.'),
      metadata: Type.Optional(Metadata),
    },
    { description: 'Who has a lock.' },
  ),
)

export const LockWaiter = define(
  'LockWaiter',
  Type.Object(
    {
      holder: Type.String(),
      mode: Mode,
      priority: Priority,
      waitingSince: Timestamp('Since when.'),
      metadata: Type.Optional(Metadata),
    },
    { description: 'Who waits for a lock.' },
  ),
)

const exampleHolder = {
  holder: 'loader-7/4211/f3a9',
  mode: 'exclusive',
  token: 42,
  grantedAt: '2026-11-20T01:00:00.000Z',
  expiresAt: '2026-11-20T01:00:30.000Z',
}

const exampleLock = {
  name: 'nightly-load',
  token: 42,
  numHolders: 1,
  numWaiters: 1,
  holders: [exampleHolder],
  waiters: [
    {
      holder: 'loader-8/17/0b2c',
      mode: 'exclusive',
      priority: 0,
      waitingSince: '2026-11-20T01:00:02.000Z',
    },
  ],
}

export const Lock = define(
  'Lock',
  Type.Object(
    {
      name: Type.String(),
      token: Type.Integer({ minimum: 0, description: 'Of the last grant.' }),
      numHolders: Type.Integer({ minimum: 0 }),
      numWaiters: Type.Integer({ minimum: 0 }),
      delayedUntil: Type.Optional(
        Timestamp('Until when nobody gets it, because a holder has let it expire.'),
      ),
      holders: Type.Array(LockHolder, { description: 'The first 100.' }),
      waiters: Type.Array(LockWaiter, { description: 'The first 100, in order.' }),
    },
    { description: 'Who has a lock and who waits for it.', examples: [exampleLock] },
  ),
)

export const LockList = define(
  'LockList',
  Type.Object(
    { items: Type.Array(Lock), nextCursor: Type.Optional(Type.String()) },
    { examples: [{ items: [exampleLock] }] },
  ),
)

export const ForcedLock = define(
  'ForcedLock',
  Type.Object(
    {
      name: Type.String(),
      holders: Type.Array(LockHolder, { description: 'Those that had it, the first 100.' }),
    },
    {
      description: 'A lock that was forced open.',
      examples: [{ name: 'nightly-load', holders: [exampleHolder] }],
    },
  ),
)

export const exampleLockEvents = `retry: 1000

event: bookmark
id: 16
data: {"event":16}

event: granted
id: 17
data: {"event":17,"createdAt":"2026-11-20T01:00:00.000Z","payload":${JSON.stringify(exampleHolder)}}

`
