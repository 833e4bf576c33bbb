import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import openapiTypescript, { astToString } from 'openapi-typescript'
import t from 'tap'
import { problems } from '../src/problems.ts'
import { startTestServer } from './support/server.ts'

const document = JSON.parse(
  await readFile(new URL('../openapi/openapi.json', import.meta.url), 'utf8'),
)

interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description: string
  responses: Record<string, { content?: Record<string, unknown> }>
}

const operations = Object.entries(
  document.paths as Record<string, Record<string, Operation>>,
).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
)

t.test(
  'every operation has an id of its own, a known tag, a summary and a description',
  async (t) => {
    const ids = operations.map(({ operation }) => operation.operationId)
    t.equal(new Set(ids).size, ids.length)
    const tags = document.tags.map((tag: { name: string }) => tag.name)
    for (const { path, method, operation } of operations) {
      t.match(operation.operationId, /^[a-z]+[A-Z]\w+$/, `${method} ${path}`)
      t.equal(operation.tags.length, 1)
      t.ok(tags.includes(operation.tags[0]), `tag of ${operation.operationId}`)
      t.ok(operation.summary)
      t.ok(operation.description)
    }
  },
)

t.test('every refusal is a problem document', async (t) => {
  for (const { operation } of operations) {
    for (const [status, response] of Object.entries(operation.responses)) {
      const isReadiness = operation.operationId === 'getReadiness' && status === '503'
      if (Number(status) < 400 || isReadiness) continue
      t.strictSame(Object.keys(response.content ?? {}), ['application/problem+json'])
    }
  }
})

t.test(
  'every schema has a name, and the codes of problems are those of the catalogue',
  async (t) => {
    t.equal(document.openapi, '3.1.0')
    const names = Object.keys(document.components.schemas)
    t.notOk(names.some((name) => /^def-|^unnamed/.test(name)))
    t.strictSame(document.components.schemas.Problem.properties.code.enum, Object.keys(problems))
  },
)

t.test('the server serves the committed document', async (t) => {
  const server = await startTestServer(t)
  t.strictSame((await server.get('/openapi.json')).body, document)
})

const program = `
import createClient from 'openapi-fetch'
import type { paths } from './api.ts'

const api = createClient<paths>({ baseUrl: process.argv[2] ?? '' })

const created = await api.POST('/tables', {
  body: {
    name: 'typed.client',
    schema: { type: 'struct', fields: [{ name: 'id', type: 'long', nullable: true, metadata: {} }] },
  },
})
if (created.data === undefined) throw new Error(created.error.detail)
const { data, error } = await api.POST('/tables/{id}/commits', {
  params: { path: { id: created.data.id } },
  body: {
    expectedVersion: 1,
    actions: [
      { add: { path: 'a.parquet', partitionValues: {}, size: 1, modificationTime: 1, dataChange: true } },
    ],
  },
})
if (data === undefined) throw new Error(error.detail)
const version: number = data.version
console.log(version)
`

t.test('a generated TypeScript client compiles at the strictest and drives a commit', async (t) => {
  const types = astToString(await openapiTypescript(document))
  const folder = t.testdir({ 'api.ts': types, 'client.ts': program })
  const run = promisify(execFile)
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url))
  const flags =
    '--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --skipLibCheck --target es2024 --module nodenext --allowImportingTsExtensions --types node'
  const compiled = await run(process.execPath, [
    tsc,
    ...flags.split(' '),
    join(folder, 'client.ts'),
  ]).catch((error) => error)
  t.equal(compiled.stdout, '')
  const server = await startTestServer(t)
  const { stdout } = await run(process.execPath, [join(folder, 'client.ts'), server.address])
  t.equal(stdout, '1\n')
})
