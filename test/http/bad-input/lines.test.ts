import t from 'tap'
import { add } from '../../support/api.ts'
import { startTestServer } from '../../support/server.ts'
import { checkRefusals, type Refusal } from './refusals.ts'

const server = await startTestServer(t, { actionsMax: 20 })
const table = await server.makeTable()
await server.published(table)

const path = `/tables/${table}/commits`
const headers = { 'content-type': 'application/x-ndjson' }
const fine = JSON.stringify(add('fine'))

const unreadable = (what: string, raw: string, line: number): Refusal => ({
  what,
  path,
  raw,
  headers,
  code: 'invalid-json',
  tells: { line, detail: new RegExp(`^Line ${line} of the body is not JSON`) },
})
const unfit = (
  what: string,
  raw: string,
  fault: { line: number; pointer: string; message: RegExp },
): Refusal => ({
  what,
  path,
  raw,
  headers,
  code: 'invalid-request',
  tells: { errors: [fault], detail: new RegExp(`^Line ${fault.line} of the body: `) },
})

const notJson: Refusal[] = [
  unreadable('a broken first line', `{\n${fine}`, 1),
  unreadable('a broken line behind blank ones', `${fine}\n\r\n \n{"add":\n${fine}`, 4),
  unreadable('an action over several lines', JSON.stringify(add('a'), null, 2), 1),
  unreadable('two actions in one line', `${fine}\n${fine} ${fine}`, 2),
  unreadable('a comma between lines', `${fine},\n${fine}`, 1),
  unreadable('lines ended by carriage returns alone', `${fine}\r${fine}`, 1),
]

const shapes: Refusal[] = [
  unfit('a line that is a number', `${fine}\n5`, {
    line: 2,
    pointer: '/actions/1',
    message: /object/,
  }),
  unfit('a list of actions', `[${fine}]`, { line: 1, pointer: '/actions/0', message: /object/ }),
  unfit('a JSON body', `{"actions":[${fine}],"operation":"W"}`, {
    line: 1,
    pointer: '/actions/0',
    message: /more than 1/,
  }),
  unfit('a fault behind blank lines', `\n\n${fine}\n\n{"add":{"path":1}}`, {
    line: 5,
    pointer: '/actions/1/add',
    message: /required/,
  }),
  unfit('a repeated member', `${fine}\n{"txn":{"appId":"a","version":1,"version":2}}`, {
    line: 2,
    pointer: '/txn/version',
    message: /repeats/,
  }),
  unfit('half a character', `${fine}\n{"x":"\\ud83d"}`, {
    line: 2,
    pointer: '/x',
    message: /surrogate/,
  }),
  unfit('a deep line', `${fine}\n{"x":${'['.repeat(100)}${']'.repeat(100)}}`, {
    line: 2,
    pointer: '/actions/1',
    message: /deeper than 100/,
  }),
  unfit('a NUL for an operation', `${fine}\n{"commitInfo":{"operation":"\\u0000"}}`, {
    line: 2,
    pointer: '/actions/1/commitInfo/operation',
    message: /NUL/,
  }),
  {
    what: 'more lines than a commit has actions',
    path,
    raw: `${fine}\n`.repeat(21),
    headers,
    code: 'too-many-actions',
    tells: { maxActions: 20 },
  },
]

const proposals: Refusal[] = [
  unfit('a proposal behind an action', `${fine}\n{"proposal":{}}`, {
    line: 2,
    pointer: '/proposal',
    message: /first line/,
  }),
  unfit('a second proposal', `{"proposal":{}}\n{"proposal":{}}\n${fine}`, {
    line: 2,
    pointer: '/proposal',
    message: /once/,
  }),
  unfit('a proposal with an action beside it', `{"proposal":{},${fine.slice(1)}`, {
    line: 1,
    pointer: '',
    message: /alone/,
  }),
  unfit('a proposal with actions in it', `\n{"proposal":{"actions":[]}}\n${fine}`, {
    line: 2,
    pointer: '/proposal/actions',
    message: /lines/,
  }),
  unfit('a number for a proposal', '{"proposal":5}', {
    line: 1,
    pointer: '/proposal',
    message: /object/,
  }),
  unfit('a list for a proposal', '{"proposal":[]}', {
    line: 1,
    pointer: '/proposal',
    message: /object/,
  }),
  unfit('a proposal with an unknown field', `\n\n{"proposal":{"colour":1}}\n${fine}`, {
    line: 3,
    pointer: '',
    message: /"colour"/,
  }),
  unfit('a proposal with a wrong field', `{"proposal":{"expectedVersion":"1"}}`, {
    line: 1,
    pointer: '/expectedVersion',
    message: /integer/,
  }),
  {
    ...unfit(
      'a field in the query and in the proposal',
      `{"proposal":{"operation":"A"}}\n${fine}`,
      { line: 1, pointer: '/proposal/operation', message: /query already/ },
    ),
    path: `${path}?operation=B`,
  },
]

const query = (what: string, text: string, pointer: string, message: RegExp): Refusal => ({
  what,
  path: `${path}?${text}`,
  raw: fine,
  headers,
  code: 'invalid-request',
  tells: { errors: [{ pointer, message }] },
})
const queries: Refusal[] = [
  query('an unknown parameter', 'expectVersion=1', '/query', /"expectVersion"/),
  query('a version below zero', 'expectedVersion=-1', '/query/expectedVersion', />= 0/),
  query(
    '10^20 for a version',
    'expectedVersion=100000000000000000000',
    '/query/expectedVersion',
    /<=/,
  ),
  query(
    'a version twice',
    'expectedVersion=1&expectedVersion=1',
    '/query/expectedVersion',
    /integer/,
  ),
  query('a NUL in the operation', 'operation=%00', '/query/operation', /NUL/),
  query('an empty operation', 'operation=', '/query/operation', /1 characters/),
]

const themes = { notJson, shapes, proposals, queries }
for (const [theme, refusals] of Object.entries(themes)) {
  t.test(theme, (t) => checkRefusals(t, server, refusals))
}

t.test('a proposal alone is a commit without actions', async (t) => {
  const answer = await server.call('POST', path, {
    raw: '\n{"proposal":{"operation":"OPTIMIZE"}}\n',
    headers,
  })
  t.match(answer, { status: 201, body: { version: 1, numAddedFiles: 0 } })
})
