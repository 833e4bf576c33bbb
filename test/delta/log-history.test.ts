import t from 'tap'
import { chooseHistory } from '../../src/delta/log-history.ts'

const file = (name: string) => ({ name, size: 1, modifiedAt: 1 })
const padded = (version: number) => String(version).padStart(20, '0')
const commit = (version: number) => file(`${padded(version)}.json`)
const checkpoint = (version: number) => file(`${padded(version)}.checkpoint.parquet`)
const part = (version: number, number: number, parts: number) =>
  file(`${padded(version)}.checkpoint.000000000${number}.000000000${parts}.parquet`)
const compaction = (from: number, to: number) =>
  file(`${padded(from)}.${padded(to)}.compacted.json`)

const namesOf = (files: readonly { name: string }[] = []) => files.map(({ name }) => name)

/** What a history comes to, for short. */
function chosen(files: Parameters<typeof chooseHistory>[0]) {
  const { history, fault } = chooseHistory(files)
  if (history === undefined) return fault
  const { from, newest, commitsFrom, base, commits } = history
  return {
    from,
    newest,
    commitsFrom,
    base: base.map((source) => [source.kind, source.version, ...namesOf(source.files)].join(' ')),
    commits: commits.length,
  }
}

t.test('all commits are there: no checkpoint is asked', async (t) => {
  t.strictSame(chosen([commit(0), commit(1), checkpoint(1), commit(2)]), {
    from: 0,
    newest: 2,
    commitsFrom: 0,
    base: [],
    commits: 3,
  })
})

t.test('where the first commits are gone, the oldest checkpoint begins the history', async (t) => {
  const files = [3, 4, 5, 6, 7].map(commit)
  t.strictSame(chosen([...files, checkpoint(4), checkpoint(6)]), {
    from: 4,
    newest: 7,
    commitsFrom: 4,
    base: [`checkpoint 4 ${checkpoint(4).name}`],
    commits: 4,
  })
  t.strictSame(chosen([commit(5), commit(6), checkpoint(4)]), {
    from: 4,
    newest: 6,
    commitsFrom: 5,
    base: [`checkpoint 4 ${checkpoint(4).name}`],
    commits: 2,
  })
})

t.test('a checkpoint alone is a history of one version', async (t) => {
  t.strictSame(chosen([checkpoint(108)]), {
    from: 108,
    newest: 108,
    commitsFrom: 109,
    base: [`checkpoint 108 ${checkpoint(108).name}`],
    commits: 0,
  })
  t.match(chosen([commit(0), commit(1), checkpoint(2)]), { from: 2, newest: 2, commits: 0 })
})

t.test('a gap is bridged by a checkpoint or by commits in one file, or refused', async (t) => {
  const around = [commit(0), commit(1), commit(4), commit(5)]
  t.strictSame(chosen(around), {
    file: commit(3).name,
    message: 'the commit is missing, and no checkpoint from version 3 on stands in for it',
  })
  t.match(chosen([...around, checkpoint(3)]), { from: 3, commits: 2 })
  t.match(chosen([...around, checkpoint(4)]), { from: 4, commitsFrom: 4, commits: 2 })
  t.strictSame(chosen([...around, compaction(2, 3)]), {
    from: 3,
    newest: 5,
    commitsFrom: 4,
    base: [
      `commits 0 ${commit(0).name}`,
      `commits 1 ${commit(1).name}`,
      `commits 3 ${compaction(2, 3).name}`,
    ],
    commits: 2,
  })
  t.match(chosen([...around, compaction(1, 4)]), { from: 4, commitsFrom: 4, commits: 2 })
  t.match(chosen([...around, compaction(3, 4)]), { file: commit(3).name })
  t.match(chosen([...around, checkpoint(1)]), { file: commit(3).name })
})

t.test('of a checkpoint in parts all must be there', async (t) => {
  const commits = [commit(2), commit(3)]
  t.match(chosen([...commits, part(2, 1, 2)]), { file: commit(1).name })
  t.match(chosen([...commits, part(2, 1, 2), part(2, 2, 2)]), {
    base: [`checkpoint 2 ${part(2, 1, 2).name} ${part(2, 2, 2).name}`],
  })
  t.match(chosen([...commits, part(2, 1, 3), part(2, 2, 2)]), { file: commit(1).name })
})

t.test('other files say nothing, and an empty log is refused', async (t) => {
  const others = ['_last_checkpoint', `.${commit(3).name}.crc`, `${padded(9)}.crc`, 'notes.txt']
  t.match(chosen([commit(0), ...others.map(file)]), { newest: 0 })
  t.match(chosen(others.map(file)), { file: commit(0).name })
})
