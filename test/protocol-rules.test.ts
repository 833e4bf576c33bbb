import { readFile } from 'node:fs/promises'
import t from 'tap'
import { tableFeatures } from '../src/delta/features.ts'
import { violationCodes } from '../src/delta/violations.ts'

const root = new URL('..', import.meta.url)
const read = (path: string) => readFile(new URL(path, root), 'utf8')
const page = await read('docs/protocol-rules.md')

function codeSpans(cell: string | undefined): string[] {
  return [...(cell ?? '').matchAll(/`([^`]+)`/g)].map(([, text]) => String(text))
}

const rows = page
  .split('\n')
  .filter((line) => /^\| (?!---)/.test(line))
  .map((line) => line.split(' | '))

t.test('the page names every violation once, beside a file that reports it', async (t) => {
  const rules = rows.filter((cells) => cells.length === 3 && cells[1]?.startsWith('`'))
  const named = rules.flatMap((cells) => codeSpans(cells[2]))
  t.same(named.toSorted(), Object.keys(violationCodes).sort())
  for (const [, file, codes] of rules) {
    const source = await read(String(codeSpans(file)[0]))
    for (const code of codeSpans(codes)) t.ok(source.includes(`'${code}'`), `${file} ${code}`)
  }
})

t.test('the page tells of every table feature, and which are refused', async (t) => {
  const features = rows.filter((cells) => cells.length === 2 && cells[0]?.startsWith('| `'))
  const named = features.flatMap(([names]) => codeSpans(names))
  t.same(named.toSorted(), [...tableFeatures.keys()].sort())
  for (const [names, what] of features) {
    for (const name of codeSpans(names)) {
      const isRefused = what?.startsWith('Refused') === true
      t.equal(tableFeatures.get(name)?.isSupported, !isRefused, name)
    }
  }
})
