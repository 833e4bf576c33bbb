import Type, { type Static } from 'typebox'
import { define, strictObject, Timestamp } from '../http/schema.ts'
import { HolderName, LockParams, Token, TtlMs } from '../locks/schema.ts'

export const ElectionParams = LockParams

const Value = Type.Unknown({
  description:
    'What the leader tells all who watch, such as its address: any JSON, kept token for token.',
})

export const Campaign = define(
  'Campaign',
  strictObject(
    {
      candidate: HolderName,
      ttlMs: TtlMs,
      waitMs: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          default: 0,
          description:
            'Time for which the request may wait while another leads, LOCK_WAIT_MS_MAX at most.',
        }),
      ),
      value: Type.Optional(Value),
    },
    {
      description: 'Who wants to lead, and for how long without a renewal.',
      examples: [
        { candidate: 'loader-7/4211', ttlMs: 10_000, waitMs: 30_000, value: { host: 'loader-7' } },
      ],
    },
  ),
)
export type Campaign = Static<typeof Campaign>

export const RenewLeadership = define(
  'RenewLeadership',
  strictObject(
    {
      candidate: HolderName,
      token: Token,
      ttlMs: Type.Optional(TtlMs),
      value: Type.Optional(Value),
    },
    {
      description:
        'A leader who goes on; without `ttlMs` for as long as before, without `value` with the one before.',
      examples: [{ candidate: 'loader-7/4211', token: 1 }],
    },
  ),
)

export const Resignation = define(
  'Resignation',
  strictObject(
    { candidate: HolderName, token: Token },
    {
      description: 'A leader who resigns.',
      examples: [{ candidate: 'loader-7/4211', token: 1 }],
    },
  ),
)

const leader = {
  candidate: Type.String(),
  token: Token,
  electedAt: Timestamp('Since when.'),
  expiresAt: Timestamp('Until when, unless it renews, by the database clock.'),
  value: Type.Optional(Value),
}

const exampleLeader = {
  candidate: 'loader-7/4211',
  token: 42,
  electedAt: '2026-11-20T09:00:00.000Z',
  expiresAt: '2026-11-20T09:00:10.000Z',
  value: { host: 'loader-7' },
}

export const Leadership = define(
  'Leadership',
  Type.Object(
    { name: Type.String(), ...leader },
    { description: 'The leader, elected.', examples: [{ name: 'loader', ...exampleLeader }] },
  ),
)

export const Resigned = define(
  'Resigned',
  Type.Object(
    { name: Type.String(), candidate: Type.String(), token: Token },
    {
      description: 'A leader who has resigned.',
      examples: [{ name: 'loader', candidate: 'loader-7/4211', token: 42 }],
    },
  ),
)

export const Election = define(
  'Election',
  Type.Object(
    {
      name: Type.String(),
      token: Type.Integer({ minimum: 0, description: 'Of the last leader.' }),
      leader: Type.Optional(
        Type.Object(leader, { description: 'Who leads now, if anybody does.' }),
      ),
      numCandidates: Type.Integer({ minimum: 0, description: 'Who waits to lead.' }),
      candidates: Type.Array(
        Type.Object({
          candidate: Type.String(),
          waitingSince: Timestamp('Since when.'),
          value: Type.Optional(Value),
        }),
        { description: 'The first 100 of them, in order.' },
      ),
    },
    {
      description: 'Who leads and who waits to.',
      examples: [
        {
          name: 'loader',
          token: 42,
          leader: exampleLeader,
          numCandidates: 1,
          candidates: [{ candidate: 'loader-8/17', waitingSince: '2026-11-20T09:00:02.000Z' }],
        },
      ],
    },
  ),
)

/** A stream as a watcher sees it. */
export const exampleElectionEvents = `retry: 1000

event: bookmark
id: 16
data: {"event":16}

event: elected
id: 17
data: {"event":17,"createdAt":"2026-11-20T09:00:00.000Z","payload":{"candidate":"loader-7/4211","token":42,"electedAt":"2026-11-20T09:00:00.000Z","expiresAt":"2026-11-20T09:00:10.000Z","value":{"host":"loader-7"}}}

`
