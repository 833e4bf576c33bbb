import fc from 'fast-check'
import t from 'tap'
import { fileKey, fileKeysOf, parsePath, pathBytesMax } from '../../src/delta/paths.ts'
import { add, cdc, remove, txn } from './support.ts'

t.test('a path is known by its decoded form', async (t) => {
  const cases = [
    ['a%20b', 'a b'],
    ['a b', 'a b'],
    ['part-0.parquet', 'part-0.parquet'],
    ['date=2024-01-01/part-0.parquet', 'date=2024-01-01/part-0.parquet'],
    ['time=12%253A00/p', 'time=12%3A00/p'],
    ['time=12:00/p', 'time=12:00/p'],
    ['p%3Aq', 'p:q'],
    ['%e2%82%ac', '€'],
    ['€', '€'],
    ['a+b', 'a+b'],
    ['a%2Fb', 'a/b'],
    ['...', '...'],
    ['..a/b..', '..a/b..'],
    ['a%3Fb%23c%5Cd', 'a?b#c\\d'],
    ['_delta_logs/x', '_delta_logs/x'],
    ['x'.repeat(pathBytesMax), 'x'.repeat(pathBytesMax)],
    ['%78'.repeat(pathBytesMax), 'x'.repeat(pathBytesMax)],
  ] as const
  for (const [path, key] of cases) t.same(parsePath(path), { key }, path)
})

t.test('a path that names no file of the table is refused for its own reason', async (t) => {
  const cases = {
    'path-empty': [''],
    'path-absolute': [
      '/a',
      '//host/a',
      '%2Fa',
      's3://bucket/a',
      'file:/a',
      'S3a:x',
      'part:1.parquet',
    ],
    'path-parent-segment': [
      '..',
      '../a',
      'a/..',
      'a/../b',
      '%2e%2e/a',
      'a%2F..%2Fb',
      '..%5Ca',
      'a%5C..',
    ],
    'path-empty-segment': ['.', './a', 'a/.', 'a/./b', 'a//b', 'a/', 'a%2F', '%2E/a'],
    'path-in-log': ['_delta_log/00000000000000000000.json', '_delta%5Flog/x'],
    'path-encoding-invalid': ['%', 'a%2', 'a%zz', '%ff', '%c3%28', '%ed%a0%80'],
    'path-character-invalid': [
      'a\0b',
      'a%00b',
      'a\ud800',
      'a?b',
      'a#b',
      'a\\b',
      'a\tb',
      'a\u0085b',
      ' a',
      'a ',
    ],
    'path-too-long': ['x'.repeat(pathBytesMax + 1), 'é'.repeat(pathBytesMax / 2 + 1)],
  }
  for (const [code, paths] of Object.entries(cases)) {
    for (const path of paths) t.equal(parsePath(path).fault?.code, code, path.slice(0, 40))
  }
})

t.test('encoding a key again gives a path with the same key', async () => {
  const text = fc.string({
    unit: fc.constantFrom('a', '/', '.', '%', ' ', '😀', '\\', ':', '2', 'F'),
  })
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (path) => {
      const { key } = parsePath(path)
      if (key === undefined) return true
      const encoded = key.split('/').map(encodeURIComponent).join('/')
      return parsePath(encoded).key === key
    }),
  )
})

t.test('fileKey throws for a path that was never judged', async (t) => {
  t.equal(fileKey('a%20b'), 'a b')
  t.throws(() => fileKey(''), new RangeError('path "" cannot be kept'))
})

t.test('the keys of a commit are those of its adds and removes, each once', async (t) => {
  const actions = [add('a%20b'), remove('a b'), remove('c'), add(''), cdc('d'), txn('app', 1)]
  t.same(fileKeysOf(actions), ['a b', 'c'])
})
