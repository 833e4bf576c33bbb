import t from 'tap'
import { holds } from '../../src/state/comparisons.ts'
import type { Comparison } from '../../src/state/operations.ts'
import type { EntryRow, EntryValue } from '../../src/state/rows.ts'

const entryOf = (value: EntryValue, metadata: string | null = null): EntryRow => ({
  namespaceId: 1,
  key: 'k',
  version: 3,
  revision: 9,
  isDeleted: false,
  value,
  metadata,
  createdAt: 0,
  updatedAt: 0,
  expiresAt: null,
})
const json = (text: string) => entryOf({ json: text, contentType: null, bytes: null })
const bytes = (...of: number[]) =>
  entryOf({ json: null, contentType: 'a/b', bytes: Buffer.from(of) })

/** The signs that hold between what is found and what it is compared with. */
const cases: [EntryRow | undefined, object, string][] = [
  [json('1'), { target: 'version', version: 3 }, '='],
  [json('1'), { target: 'version', version: 2 }, '!>'],
  [undefined, { target: 'version', version: 1 }, '!<'],
  [undefined, { target: 'exists', exists: false }, '='],
  [json('1'), { target: 'exists', exists: false }, '!>'],
  [json('10'), { target: 'value', json: '9' }, '!>'],
  [json('1.0'), { target: 'value', json: '1' }, '='],
  [json('9007199254740993'), { target: 'value', json: '9007199254740992' }, '!>'],
  [json('"b"'), { target: 'value', json: '"a"' }, '!>'],
  [json('"1"'), { target: 'value', json: '1' }, '!'],
  [json('{"a":1,"b":[2,3]}'), { target: 'value', json: '{"b":[2,3],"a":1}' }, '='],
  [json('[1,2]'), { target: 'value', json: '[2,1]' }, '!'],
  [json('[]'), { target: 'value', json: '{}' }, '!'],
  [json('null'), { target: 'value', json: 'null' }, '='],
  [json('{"__proto__":1}'), { target: 'value', json: '{"a":1}' }, '!'],
  [undefined, { target: 'value', json: 'null' }, '!'],
  [bytes(1, 2), { target: 'value', bytes: Buffer.from([1, 2]) }, '='],
  [bytes(1, 2), { target: 'value', bytes: Buffer.from([1, 1, 9]) }, '!>'],
  [bytes(1), { target: 'value', json: '1' }, '!'],
  [json('1'), { target: 'value', bytes: Buffer.from([1]) }, '!'],
  [
    entryOf(json('1').value, '{"a":{"b":5}}'),
    { target: 'metadata', path: ['a', 'b'], json: '4' },
    '!>',
  ],
  [entryOf(json('1').value, '{"a":5}'), { target: 'metadata', path: ['a', 'b'], json: '5' }, '!'],
  [entryOf(json('1').value, '{"a":5}'), { target: 'metadata', path: ['toString'], json: '5' }, '!'],
  [entryOf(json('1').value, '{"a":5}'), { target: 'metadata', path: [], json: '{"a":5}' }, '='],
  [json('1'), { target: 'metadata', path: ['a'], json: 'null' }, '!'],
]

const signs = { equal: '=', notEqual: '!', greater: '>', less: '<' } as const

for (const [entry, comparison, expected] of cases) {
  for (const [op, sign] of Object.entries(signs)) {
    const asked = { key: 'k', op, ...comparison } as Comparison
    t.equal(holds(asked, entry), expected.includes(sign), `${JSON.stringify(comparison)} ${sign}`)
  }
}
