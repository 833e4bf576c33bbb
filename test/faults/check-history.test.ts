import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { checkHistory, type TableEnd, type Wish } from './check-history.ts'

const id = 'a-table'

/** A history without fault: three wishes, the last of which was answered twice. */
function soundHistory() {
  const wishes: Wish[] = [
    wish({ adds: ['a', 'b'], answers: [receipt(1)] }),
    wish({ adds: ['c'], removes: ['a'], expectedVersion: 2, answers: [receipt(2)] }),
    wish({ adds: ['d'], key: 'k', answers: [receipt(3), receipt(3)], open: 2 }),
    wish({ adds: ['e'], open: 1 }),
    wish({ adds: ['f'], key: 'l', expectedVersion: 2, answers: [conflict] }),
  ]
  const commits = [
    commit(0, {}),
    commit(1, { adds: ['a', 'b'] }),
    commit(2, { adds: ['c'], removes: ['a'] }),
    commit(3, { adds: ['d'] }),
  ]
  const table = tableOf(commits, ['b', 'c', 'd'])
  return { wishes, table }
}

function wish(facts: Partial<Wish>): Wish {
  return { table: id, adds: [], removes: [], answers: [], open: 0, ...facts }
}

const receipt = (version: number) => ({ status: 201, body: JSON.stringify({ version }) })
const conflict = { status: 409, body: '{"code":"version-conflict"}' }

interface Content {
  adds?: string[]
  removes?: string[]
  inCommitTimestamp?: number
}

function commit(version: number, content: Content) {
  const { adds = [], removes = [], inCommitTimestamp = 100 + version } = content
  const actions = [
    { commitInfo: { inCommitTimestamp } },
    ...adds.map((path) => ({ add: { path } })),
    ...removes.map((path) => ({ remove: { path } })),
  ]
  return { version, lines: actions.map((action) => `${JSON.stringify(action)}\n`).join('') }
}

function tableOf(commits: TableEnd['commits'], files: string[]): TableEnd {
  const version = commits.length - 1
  return {
    id,
    version,
    commits,
    files,
    log: new Map(commits.map(({ version, lines }) => [commitFileName(version), lines])),
    mirror: { state: 'current', publishedVersion: version, pending: 0 },
  }
}

t.test('a sound history has no fault', async (t) => {
  const { wishes, table } = soundHistory()
  t.strictSame(checkHistory(wishes, [table]), [])
})

/** Each planted fault, and what must be found. */
const planted: Record<string, [(sound: ReturnType<typeof soundHistory>) => TableEnd, RegExp]> = {
  'a gap': [
    ({ table }) => ({ ...table, commits: table.commits.filter(({ version }) => version !== 2) }),
    /version 3 stands in the place of 2/,
  ],
  'a version twice': [
    ({ table }) => ({ ...table, commits: [...table.commits, commit(3, { adds: ['d'] })] }),
    /version 3 stands in the place of 4/,
  ],
  'a head before the newest commit': [
    ({ table }) => ({ ...table, version: 2 }),
    /the head is 2, the newest is 3/,
  ],
  'a timestamp that does not rise': [
    ({ table }) => withCommit(table, 2, { adds: ['c'], removes: ['a'], inCommitTimestamp: 101 }),
    /inCommitTimestamp of version 2 is 101 after 101/,
  ],
  'a 201 that is not there': [
    ({ table }) => withCommit(table, 3, { adds: ['g'] }),
    /d was told version 3 and is at undefined/,
  ],
  'a 201 at another version': [
    ({ wishes, table }) => {
      wishes[0] = wish({ adds: ['a', 'b'], answers: [receipt(7)] })
      return table
    },
    /a was told version 7 and is at 1/,
  ],
  'a 201 without all its files': [
    ({ table }) => withCommit(table, 1, { adds: ['a'] }),
    /version 1 does not hold exactly the commit of a/,
  ],
  'a 201 without its removal': [
    ({ table }) => withCommit(table, 2, { adds: ['c'] }),
    /version 2 does not hold exactly the commit of c/,
  ],
  'a commit applied twice': [
    ({ table }) => tableOf([...table.commits, commit(4, { adds: ['d'] })], ['b', 'c', 'd']),
    /d was committed 2 times/,
  ],
  'a file added twice': [
    ({ table }) => withCommit(table, 3, { adds: ['d', 'b'] }),
    /b is added again by version 3/,
  ],
  'a removal of what is not there': [
    ({ table }) => withCommit(table, 3, { adds: ['d'], removes: ['z'] }),
    /z is removed by version 3 and not there/,
  ],
  'a live file that is lost': [
    ({ table }) => ({ ...table, files: ['b', 'c'] }),
    /d is not among the live files/,
  ],
  'a removed file that is still live': [
    ({ table }) => ({ ...table, files: ['a', 'b', 'c', 'd'] }),
    /a is live though it should not be/,
  ],
  'a live file listed twice': [
    ({ table }) => ({ ...table, files: ['b', 'c', 'd', 'd'] }),
    /a live file is listed twice/,
  ],
  'two answers to one key': [
    ({ wishes, table }) => {
      wishes[2] = wish({ adds: ['d'], key: 'k', answers: [receipt(3), conflict] })
      return table
    },
    /d \(key k\) was answered 201, then other: 409/,
  ],
  'a refusal with a key that took effect': [
    ({ wishes, table }) => {
      wishes[2] = wish({ adds: ['d'], key: 'k', answers: [conflict], open: 1 })
      return table
    },
    /d was answered 409 and is at 3/,
  ],
  'a refusal at once that took effect': [
    ({ wishes, table }) => {
      wishes[1] = wish({ adds: ['c'], removes: ['a'], answers: [conflict] })
      return table
    },
    /c was answered 409 and is at 2/,
  ],
  'a commit at another version than expected': [
    ({ wishes, table }) => {
      wishes[1] = wish({ adds: ['c'], removes: ['a'], expectedVersion: 3, open: 1 })
      return table
    },
    /c expected version 3 and is at 2/,
  ],
  'a commit from nowhere': [
    ({ table }) => tableOf([...table.commits, commit(4, { adds: ['x'] })], ['b', 'c', 'd', 'x']),
    /version 4 was wanted by nobody/,
  ],
  'a log without a version': [
    ({ table }) => ({ ...table, log: new Map([...table.log].slice(1)) }),
    /the log lacks version 0/,
  ],
  'a log with other content': [
    ({ table }) => ({ ...table, log: new Map(table.log).set(commitFileName(1), '{}\n') }),
    /the log has other content for version 1/,
  ],
  'a log with a file too many': [
    ({ table }) => ({ ...table, log: new Map(table.log).set('.half.tmp', '') }),
    /the log holds \.half\.tmp/,
  ],
  'a mirror that is behind': [
    ({ table }) => ({ ...table, mirror: { state: 'behind', publishedVersion: 2, pending: 1 } }),
    /the mirror is behind at 2 of 3, 1 pending/,
  ],
}

function withCommit(table: TableEnd, version: number, content: Content): TableEnd {
  const commits = table.commits.map((one) =>
    one.version === version ? commit(version, content) : one,
  )
  return tableOf(commits, [...table.files])
}

for (const [name, [plant, fault]] of Object.entries(planted)) {
  t.test(`${name} is found`, async (t) => {
    const sound = soundHistory()
    const table = plant(sound)
    const faults = checkHistory(sound.wishes, [table])
    t.match(faults.join('\n'), fault)
  })
}

t.test('a lost answer is no fault, whether it took effect or not', async (t) => {
  const { wishes, table } = soundHistory()
  wishes[1] = wish({ adds: ['c'], removes: ['a'], expectedVersion: 2, open: 1 })
  wishes[2] = wish({ adds: ['d'], expectedVersion: 3, answers: [conflict], open: 1 })
  t.strictSame(checkHistory(wishes, [table]), [])
})
