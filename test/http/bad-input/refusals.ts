import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import type { Test } from 'tap'
import { type ProblemCode, problems } from '../../../src/problems.ts'
import type { CallOptions, TestAnswer } from '../../support/api.ts'
import { isOfCommits } from '../../support/log-names.ts'
import type { TestServer } from '../../support/server.ts'

/** A request that must be refused, and how. */
export interface Refusal extends CallOptions {
  /** What is wrong with it. */
  what: string
  method?: string
  path: string
  code: ProblemCode
  /** What the problem document must tell, matched as tap's `match` does. */
  tells?: object
}

/** Sends each request and sees it refused as it should be, with nothing changed and the server at work. */
export async function checkRefusals(
  t: Test,
  server: TestServer,
  refusals: readonly Refusal[],
): Promise<void> {
  const before = await takeStock(server)
  for (const { what, method = 'POST', path, code, tells = {}, ...sent } of refusals) {
    await t.test(what, async (t) => {
      const answer = await server.call(method, path, sent)
      checkProblem(t, answer, code)
      t.match(answer.body, tells)
      t.strictSame(await takeStock(server), before, 'nothing has changed')
      t.equal((await server.get('/health/live')).status, 200)
    })
  }
}

/** Sees that an answer is the problem document of a code. */
export function checkProblem(t: Test, answer: TestAnswer, code: ProblemCode): void {
  const { status, title } = problems[code]
  t.equal(answer.status, status, answer.text.slice(0, 500))
  t.match(answer.headers.get('content-type'), /^application\/problem\+json/)
  t.match(answer.body, {
    type: `urn:deltaworks:problem:${code}`,
    title,
    status,
    detail: /\S\.$/,
    instance: answer.headers.get('x-request-id'),
    code,
  })
}

/** Everything that a request could have changed: rows, versions and files. */
export async function takeStock(server: TestServer): Promise<unknown> {
  const { rows } = await sql<object>`
    select (select count(*) from tables) as tables, (select sum(version) from tables) as versions,
      (select count(*) from tables where dropped_at is null) as live,
      (select count(*) from commits) as commits, (select count(*) from files) as files,
      (select count(*) from actions) as actions,
      (select count(*) from idempotency_keys) as keys`.execute(server.db)
  const found = await readdir(server.dataDir, { recursive: true, withFileTypes: true })
  const paths = found.map(({ parentPath, name }) => join(parentPath, name))
  return { ...rows[0], paths: paths.filter(isOfCommits).sort() }
}
