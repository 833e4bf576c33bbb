import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'

const source = new URL('../src/', import.meta.url).pathname

interface Import {
  from: string
  /** A path below src/, or the name of a package. */
  to: string
  isType: boolean
}

async function readImports(): Promise<{ files: string[]; imports: Import[] }> {
  const names = await readdir(source, { recursive: true })
  const files = names.filter((name) => name.endsWith('.ts')).sort()
  const imports = await Promise.all(
    files.map(async (from) => {
      const text = await readFile(join(source, from), 'utf8')
      const found = text.matchAll(/^(?:import|export) (type )?[^'"]*?from '([^']+)'/gm)
      return [...found].map(([, type, to = '']) => ({
        from,
        to: to.startsWith('.') ? normalize(join(dirname(from), to)) : to,
        isType: type !== undefined,
      }))
    }),
  )
  return { files, imports: imports.flat() }
}

const { files, imports } = await readImports()

const folderOf = (path: string) => (path.includes('/') ? (path.split('/')[0] ?? '') : '')
const isRoutes = (path: string) => /[/-]routes\.ts$/.test(path)
const isPure = (path: string) =>
  folderOf(path) === 'delta' ||
  /\/(rules|judge|append|ledger|reads|touched|row-ids|rows|unit|lanes|gathering|rounds|breaker|order|meetings|lookout|comparisons|key-range|duplicates|fences)\.ts$/.test(
    path,
  )

/** Libraries that are as pure as what uses them. */
const isForSchemas = (name: string) => name === 'ajv' || name.startsWith('typebox')

/** Each rule says which imports break it. */
const rules: Record<string, (one: Import) => boolean> = {
  'fastify appears only in app.ts, http/ and routes': ({ from, to, isType }) =>
    !isType &&
    /^@?fastify/.test(to) &&
    from !== 'app.ts' &&
    folderOf(from) !== 'http' &&
    !isRoutes(from),
  'pg appears only in database/': ({ from, to }) => to === 'pg' && folderOf(from) !== 'database',
  'the SDK of S3 is known in storage/ alone, and loaded when it is needed': ({
    from,
    to,
    isType,
  }) => to.startsWith('@aws-sdk/') && (!isType || folderOf(from) !== 'storage'),
  'the SDK of OpenTelemetry is known where tracing starts alone, which is loaded when it is needed':
    ({ from, to, isType }) =>
      (/^@opentelemetry\/(?!api$)/.test(to) && from !== 'tracing/start-tracing.ts') ||
      (to === 'tracing/start-tracing.ts' && !isType),
  'delta/ knows itself and libraries for schemas alone': ({ from, to }) =>
    folderOf(from) === 'delta' && folderOf(to) !== 'delta' && !isForSchemas(to),
  'what judges is pure: types, the protocol, the problems and what judges': ({
    from,
    to,
    isType,
  }) => isPure(from) && !isType && !isPure(to) && to !== 'problems.ts' && !isForSchemas(to),
  'database/ knows no feature': ({ from, to }) =>
    folderOf(from) === 'database' && !['database', ''].includes(folderOf(to)) && to.endsWith('.ts'),
  'http/ knows no feature, but for the types of an answer': ({ from, to, isType }) =>
    folderOf(from) === 'http' &&
    to.endsWith('.ts') &&
    !isType &&
    !['http', 'database', 'delta', 'tracing', ''].includes(folderOf(to)),
  'nothing but app.ts imports routes': ({ from, to }) => isRoutes(to) && from !== 'app.ts',
  'queries know nothing of HTTP': ({ from, to }) =>
    from.endsWith('queries.ts') && folderOf(to) === 'http',
  'problems.ts imports nothing': ({ from }) => from === 'problems.ts',
  'main.ts is imported by nothing': ({ to }) => to === 'main.ts',
}

for (const [rule, breaks] of Object.entries(rules)) {
  t.strictSame(imports.filter(breaks), [], rule)
}

t.test('there are no circles among the files', async (t) => {
  const targets = Map.groupBy(
    imports.filter((one) => !one.isType && files.includes(one.to)),
    (one) => one.from,
  )
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, way: string[]) => {
    if (way.includes(file)) circles.push([...way, file].join(' → '))
    if (done.has(file) || way.includes(file)) return
    for (const { to } of targets.get(file) ?? []) visit(to, [...way, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  t.strictSame(circles, [])
})

t.test('only main.ts reads the environment', async (t) => {
  const readers = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(source, file), 'utf8')
      return text.includes('process.env') ? file : []
    }),
  )
  t.strictSame(readers.flat(), ['main.ts'])
})

t.test('the check of imports sees some', async (t) => {
  t.ok(imports.length > 100)
  t.ok(imports.some((one) => one.from === 'commits/judge.ts' && one.to === 'delta/validation.ts'))
})
