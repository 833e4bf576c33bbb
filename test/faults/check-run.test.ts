import t from 'tap'
import { commitFileName } from '../../src/delta/log-files.ts'
import { add, remove } from '../support/api.ts'
import type { TableEnd } from './check-history.ts'
import { checkRun } from './check-run.ts'
import type {
  Attempt,
  RecordedCommit,
  RecordedRead,
  RecordedRun,
  SentAction,
  SentProposal,
} from './recorded-run.ts'

const id = 'a-table'
const put = (path: string) => add(path, { partitionValues: { part: path[0] } })
const inPart = (value: string) => ({
  op: 'equal',
  children: [
    { op: 'column', name: 'part' },
    { op: 'literal', value },
  ],
})

interface Said {
  at: [begin: number, end: number]
  status: number
  body: object
}

function commit(given: Partial<SentProposal>, ...said: Said[]): RecordedCommit {
  const attempts = said.map(
    ({ at: [begin, end], status, body }): Attempt => ({
      ...{ begin, end, status },
      body: JSON.stringify(body),
    }),
  )
  return { table: id, proposal: { operation: 'WRITE', actions: [], ...given }, attempts }
}

function receipt(version: number, at: Said['at'], more: object = {}): Said {
  const counts = { numAddedFiles: 1, numRemovedFiles: 0 }
  const body = { version, status: 'committed', rebasedOver: [], ...counts, ...more }
  return { at, status: 201, body }
}

function refusal(code: string, at: Said['at'], facts: object): Said {
  return { at, status: 409, body: { code, ...facts } }
}

function read(kind: RecordedRead['kind'], at: Said['at'], body: object): RecordedRead {
  return { table: id, kind, begin: at[0], end: at[1], body: JSON.stringify(body) }
}

const update: Partial<SentProposal> = {
  operation: 'UPDATE',
  readVersion: 2,
  reads: { predicates: [inPart('0')] },
  actions: [remove('0/a'), put('0/d')],
}
const winner = { version: 4, operation: 'UPDATE' }

/** A run without fault: versions 1 to 5, with a rebase, three refusals and some reads. */
function soundRun(): RecordedRun {
  const commits = [
    commit({ actions: [put('0/a')] }, receipt(1, [10, 20])),
    commit({ expectedVersion: 2, actions: [put('1/b')] }, receipt(2, [30, 40])),
    commit({ actions: [put('0/c')] }, receipt(3, [50, 60])),
    commit(update, receipt(4, [50, 70], { readVersion: 2, rebasedOver: [3], numRemovedFiles: 1 })),
    commit(
      { ...update, actions: [remove('0/a'), put('0/e')] },
      refusal('concurrent-append', [65, 90], { currentVersion: 5, winner }),
    ),
    commit(
      { readVersion: 3, operation: 'DELETE', actions: [remove('0/a'), put('1/f')] },
      refusal('concurrent-delete-delete', [75, 85], { currentVersion: 4, winner }),
    ),
    commit(
      { expectedVersion: 2, actions: [put('1/g')] },
      refusal('version-conflict', [75, 85], {
        ...{ expected: 2, actual: 5, currentVersion: 4 },
        winner: { version: 2, operation: 'WRITE' },
      }),
    ),
    commit(
      { idempotency: { appId: 'x', version: 1 }, actions: [put('1/h')] },
      receipt(5, [80, 100]),
      {
        ...receipt(5, [110, 120]),
        status: 200,
        body: { ...receipt(5, [0, 0]).body, status: 'duplicate' },
      },
    ),
  ]
  const files = (paths: string[]) => paths.map(put)
  const reads = [
    read('files', [41, 45], { version: 2, items: files(['0/a', '1/b']) }),
    read('files', [55, 75], { version: 3, items: files(['0/a', '1/b', '0/c']) }),
    read('snapshot', [105, 110], {
      version: 5,
      statistics: { numFiles: 4 },
      appTransactions: [{ appId: 'x' }],
      domainMetadata: [],
    }),
    read('history', [105, 110], { items: [5, 4].map((version) => itemOf(version)) }),
    { ...read('commit', [105, 110], { version: 1, actions: linesOf(1) }), version: 1 },
  ]
  return { commits, reads }
}

const made: Record<number, { operation: string; actions: SentAction[] }> = {
  0: { operation: 'CREATE TABLE', actions: [] },
  1: { operation: 'WRITE', actions: [put('0/a')] },
  2: { operation: 'WRITE', actions: [put('1/b')] },
  3: { operation: 'WRITE', actions: [put('0/c')] },
  4: { operation: 'UPDATE', actions: [remove('0/a'), put('0/d')] },
  5: { operation: 'WRITE', actions: [put('1/h'), { txn: { appId: 'x', version: 1 } }] },
}

const itemOf = (version: number) => ({ version, ...linesOf(version)[0] })

function linesOf(version: number): SentAction[] {
  const { operation, actions } = made[version] ?? { operation: '', actions: [] }
  return [{ commitInfo: { inCommitTimestamp: 100 + version, operation } }, ...actions]
}

const commits = Object.keys(made).map((version) => ({
  version: Number(version),
  lines: linesOf(Number(version))
    .map((line) => `${JSON.stringify(line)}\n`)
    .join(''),
}))
const end: TableEnd = {
  id,
  version: 5,
  commits,
  files: ['0/c', '0/d', '1/b', '1/h'],
  log: new Map(commits.map(({ version, lines }) => [commitFileName(version), lines])),
  mirror: { state: 'current', publishedVersion: 5, pending: 0 },
}

/** Changes what one attempt of a commit was told, or when. */
function tell(run: RecordedRun, place: number, change: (body: Said['body']) => object): void {
  const attempt = run.commits[place]?.attempts[0]
  if (attempt !== undefined) attempt.body = JSON.stringify(change(JSON.parse(attempt.body ?? '')))
}

const at = (run: RecordedRun, place: number, times: { begin?: number; end?: number }) =>
  Object.assign(run.commits[place]?.attempts[0] ?? {}, times)

const propose = (run: RecordedRun, place: number, proposal: Partial<SentProposal>) =>
  Object.assign(run.commits[place]?.proposal ?? {}, proposal)

function show(run: RecordedRun, place: number, change: object): void {
  const one = run.reads[place]
  if (one !== undefined) one.body = JSON.stringify({ ...JSON.parse(one.body), ...change })
}

t.test('a sound run has no fault', async (t) => {
  t.strictSame(checkRun(soundRun(), [end]), [])
})

/** Each planted fault, and what must be found. */
const planted: Record<string, [(run: RecordedRun) => void, RegExp]> = {
  'a 201 that is not there': [
    (run) => run.commits.push(commit({ actions: [put('1/z')] }, receipt(6, [1, 2]))),
    /1\/z was told version 6 and is at undefined/,
  ],
  'two answers to one key': [
    (run) => {
      Object.assign(run.commits[0] ?? {}, { key: 'k' })
      run.commits[0]?.attempts.push({
        begin: 21,
        end: 22,
        status: 201,
        body: '{"version":2,"rebasedOver":[]}',
      })
    },
    /was answered 201, then other/,
  ],
  'a later commit with a lower version': [
    (run) => at(run, 0, { begin: 45, end: 48 }),
    /version 1 was asked for when 2 was known/,
  ],
  'an answer before what comes before it was asked for': [
    (run) => at(run, 2, { begin: 80, end: 85 }),
    /0\/d was told of 4 when nobody had asked for it/,
  ],
  'a read that goes back behind a commit': [
    (run) => show(run, 0, { version: 1, items: [put('0/a')] }),
    /read of files was told of 1 when 2 was known/,
  ],
  'a read that goes back behind a read': [
    (run) => {
      at(run, 2, { end: 200 })
      run.reads.push(
        read('files', [51, 52], { version: 3, items: ['0/a', '1/b', '0/c'].map(put) }),
        read('files', [53, 54], { version: 2, items: ['0/a', '1/b'].map(put) }),
      )
    },
    /was told of 2 when 3 was known/,
  ],
  'a read of what nobody has asked for': [
    (run) => show(run, 0, { version: 3, items: ['0/a', '1/b', '0/c'].map(put) }),
    /read of files was told of 3 when nobody had asked for it/,
  ],
  'a read of half a commit': [
    (run) => show(run, 1, { items: ['0/a', '1/b'].map(put) }),
    /read of files is not that of version 3/,
  ],
  'a snapshot without an app': [
    (run) => show(run, 2, { appTransactions: [] }),
    /read of snapshot is not that of version 5/,
  ],
  'a history with other content': [
    (run) => show(run, 3, { items: [itemOf(5), { ...itemOf(4), commitInfo: {} }] }),
    /read of history is not that of version 5/,
  ],
  'a history with a gap': [
    (run) => show(run, 3, { items: [itemOf(5), itemOf(3)] }),
    /read of history is not that of version 5/,
  ],
  'a commit with other actions': [
    (run) => show(run, 4, { actions: [] }),
    /read of commit is not that of version 1/,
  ],
  'another commit than was asked for': [
    (run) => show(run, 4, { version: 2 }),
    /told of 2 when asked for 1/,
  ],
  'a commit that should have been refused': [
    (run) => propose(run, 3, { isolationLevel: 'Serializable' }),
    /version 4 should have been refused: concurrent-append with 3/,
  ],
  'an unheard commit that should have been refused': [
    (run) => {
      propose(run, 3, { isolationLevel: 'Serializable' })
      Object.assign(run.commits[3] ?? {}, { attempts: [{ begin: 50, end: Infinity }] })
    },
    /version 4 should have been refused: concurrent-append with 3/,
  ],
  'a rebase that is not told': [
    (run) => tell(run, 3, (body) => ({ ...body, rebasedOver: [] })),
    /0\/d was rebased over 3, and was told $/m,
  ],
  'another readVersion': [
    (run) => tell(run, 3, (body) => ({ ...body, readVersion: 1 })),
    /0\/d read 2, and was told other/,
  ],
  'wrong counts': [
    (run) => tell(run, 0, (body) => ({ ...body, numAddedFiles: 2 })),
    /0\/a has files 1,0, and was told 2,0/,
  ],
  'a refusal without reason': [
    (run) => propose(run, 4, { reads: {}, actions: [put('0/e')] }),
    /0\/e was refused with concurrent-append by 4 at 5; the rules say nothing/,
  ],
  'a refusal at a head that had no winner yet': [
    (run) => tell(run, 5, (body) => ({ ...body, currentVersion: 3 })),
    /1\/f was refused .* at 3; the rules say nothing/,
  ],
  'a refusal of another kind': [
    (run) => tell(run, 5, (body) => ({ ...body, code: 'metadata-changed' })),
    /refused with metadata-changed by 4 at 4; the rules say concurrent-delete-delete by 4/,
  ],
  'another winner': [
    (run) => tell(run, 5, (body) => ({ ...body, winner: { version: 3, operation: 'WRITE' } })),
    /by 3 at 4; the rules say concurrent-delete-delete by 4/,
  ],
  'a winner with another operation': [
    (run) => tell(run, 5, (body) => ({ ...body, winner: { version: 4, operation: 'WRITE' } })),
    /which was no WRITE/,
  ],
  'a refusal at a head that was past': [
    (run) => at(run, 5, { begin: 125, end: 130 }),
    /1\/f was told of 4 when 5 was known/,
  ],
  'a refusal at a head that was to come': [
    (run) => at(run, 4, { end: 79 }),
    /0\/e was told of 5 when nobody had asked for it/,
  ],
  'a version conflict without conflict': [
    (run) => tell(run, 6, (body) => ({ ...body, expected: 5 })),
    /1\/g expected 2 and was told of 5, 5 at 4/,
  ],
  'a version conflict that names another taker': [
    (run) => tell(run, 6, (body) => ({ ...body, winner: { version: 3, operation: 'WRITE' } })),
    /1\/g expected 2 and was told of 2, 5 at 4/,
  ],
}

for (const [name, [plant, fault]] of Object.entries(planted)) {
  t.test(`${name} is found`, async (t) => {
    const run = soundRun()
    plant(run)
    t.match(checkRun(run, [end]).join('\n'), fault)
  })
}

t.test(
  'a request that was never answered is no fault, whether it took effect or not',
  async (t) => {
    const run = soundRun()
    Object.assign(run.commits[2] ?? {}, { attempts: [{ begin: 50, end: Infinity }] })
    Object.assign(run.commits[4] ?? {}, { attempts: [{ begin: 50, end: Infinity }] })
    t.strictSame(checkRun(run, [end]), [])
  },
)
