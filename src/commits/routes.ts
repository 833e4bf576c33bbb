import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { Db, Pool } from '../database/connect.ts'
import { idempotentRequest, jsonAnswer, problemAnswer, sendOutcome } from '../http/answers.ts'
import { bodyText } from '../http/body.ts'
import { objectText } from '../http/json-text.ts'
import { LinesBody } from '../http/lines.ts'
import { sendList, toPage } from '../http/lists.ts'
import {
  IdempotencyHeaders,
  jsonResponse,
  LinePosition,
  listResponse,
  locationHeader,
  PageQuery,
  refusals,
  strictObject,
  Version,
  writeResponse,
} from '../http/schema.ts'
import { faultFinder, refuseMisplaced } from '../http/validation.ts'
import type { Answer } from '../idempotency/rules.ts'
import { getTable } from '../tables/get-table.ts'
import { headOf } from '../tables/queries.ts'
import { tableKey } from '../tables/rules.ts'
import { TableParams } from '../tables/schema.ts'
import { commitMembers, receiptText, summaryText } from './commit-json.ts'
import type { Committer } from './committer.ts'
import { getCommit, historyNotAvailable, type KnownHistory, listCommits } from './history.ts'
import { allLogLines, beforeVersion, listLogLines } from './log-lines.ts'
import { receiveJson, receiveLines } from './receive.ts'
import {
  ActionLines,
  ActionsLimit,
  Commit,
  CommitCheck,
  CommitList,
  CommitReceipt,
  CreateCommit,
  CreateCommitQuery,
  ofJudging,
  VersionParams,
} from './schema.ts'
import { type Intake, openIntake } from './staged/intake.ts'
import { createStage } from './staged/stage.ts'
import type { Part, Proposal, Verdict } from './unit.ts'

/** What the routes of commits need. */
export interface CommitRoutesContext {
  db: Db
  /** For COPY of what is sent. */
  stagePool: Pool
  committer: Committer
  /** Actions in one commit at most. */
  actionsMax: number
  /** Of which so many are held in memory. */
  heldActionsMax: number
}

/** `/tables/:id/commits`: propose a commit, and read what was committed. */
export const commitRoutes: FastifyPluginAsyncTypebox<CommitRoutesContext> = async (
  app,
  context,
) => {
  const { committer } = context

  app.post(
    '/tables/:id/commits',
    {
      schema: {
        operationId: 'createCommit',
        tags: ['commits'],
        summary: 'Commit to a table',
        description:
          'Answers 201 once the commit is durable and has its version. As `application/x-ndjson` the body is the actions, one a line as in a log file; the other fields are query parameters, or stand in a first line `{"proposal": {…}}`.',
        headers: IdempotencyHeaders,
        params: TableParams,
        querystring: CreateCommitQuery,
        body: proposalBody,
        response: {
          200: writeResponse(
            'A duplicate: it was committed before.',
            CommitReceipt,
            locationHeader,
          ),
          201: writeResponse('Committed.', CommitReceipt, locationHeader),
          ...refusals(
            ...ofJudging,
            'invalid-json',
            'invalid-idempotency-key',
            'table-not-found',
            'table-dropped',
            'table-reserved',
            'version-conflict',
            'idempotency-in-progress',
            'body-too-large',
            'too-many-actions',
            'unsupported-media-type',
            'invalid-actions',
            'idempotency-key-reused',
          ),
        },
      },
    },
    async (request, reply) => {
      const part = await receive(request, request.params.id, context)
      const outcome = await committer.submit({
        parts: [part],
        idempotent: idempotentRequest(request),
        answer: (verdict) => answerCommit(verdict, request),
      })
      return sendOutcome(reply, outcome)
    },
  )

  app.post(
    '/tables/:id/commits/check',
    {
      schema: {
        operationId: 'checkCommit',
        tags: ['commits'],
        summary: 'Ask what a commit would be answered with',
        description:
          'Judges the proposal as it stands now, and writes nothing. The answer is 200 whatever the verdict; `status` is that of the verdict.',
        params: TableParams,
        querystring: CreateCommitQuery,
        body: proposalBody,
        response: {
          200: jsonResponse('The verdict.', CommitCheck),
          ...refusals(
            'invalid-json',
            'body-too-large',
            'too-many-actions',
            'unsupported-media-type',
          ),
        },
      },
    },
    async (request, reply) => {
      const part = await receive(request, request.params.id, context)
      const { answer } = await committer.check({
        parts: [part],
        answer: (verdict) => answerCommit(verdict, request),
      })
      const text = objectText({ status: String(answer.status), answer: answer.body })
      return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false })
    },
  )

  app.get(
    '/tables/:id/commits',
    {
      schema: {
        operationId: 'listCommits',
        tags: ['commits'],
        summary: 'History of a table, newest first',
        description: 'From version `from` up to `to`, both included.',
        params: TableParams,
        querystring: strictObject({
          from: Type.Optional(Version('The oldest version to list.')),
          to: Type.Optional(Version('The newest version to list.')),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of commits.', CommitList),
          ...refusals('table-not-found', 'invalid-cursor', 'history-not-available'),
        },
      },
    },
    async (request, reply) => {
      const { to } = request.query
      const { db } = request.reads
      const table = await getTable(db, request.params.id)
      const { from = table.commitsFrom } = request.query
      refuseUnknownCommit(table, from)
      return sendList(request, reply, {
        name: `commits/${table.id}/${request.query.from ?? ''}/${to ?? ''}`,
        position: Version('The version of the last commit that was listed.'),
        readPage: async (after, limit) => {
          const newest = after === undefined ? (to ?? table.version) : after - 1
          const rows = await listCommits(db, table.id, { from, to: newest, limit: limit + 1 })
          return toPage(rows, limit, { json: summaryText, position: (row) => row.version })
        },
      })
    },
  )

  app.get(
    '/tables/:id/commits/:version',
    {
      schema: {
        operationId: 'getCommit',
        tags: ['commits'],
        summary: 'One commit with its actions',
        description:
          'As `application/x-ndjson`: exactly the lines of its log file. As JSON, actions beyond `limit` are on further pages.',
        params: VersionParams,
        querystring: strictObject({ ...PageQuery, limit: ActionsLimit }),
        response: {
          200: listResponse('The commit.', Commit),
          ...refusals(
            'table-not-found',
            'version-not-found',
            'invalid-cursor',
            'history-not-available',
          ),
        },
      },
    },
    async (request, reply) => {
      const { db, openExport } = request.reads
      const table = await getTable(db, request.params.id)
      const { version } = request.params
      refuseUnknownCommit(table, version)
      const commit = await getCommit(db, table, { version })
      const rangeBehind = (position: number | undefined) => ({
        tableId: table.id,
        after: position === undefined ? beforeVersion(version) : { version, position },
        to: version,
      })
      return sendList(request, reply, {
        name: `commit/${table.id}/${version}`,
        position: LinePosition,
        openAll: (position) => openExport(allLogLines(rangeBehind(position))),
        readPage: async (position, limit) => {
          const rows = await listLogLines(db, rangeBehind(position), limit + 1)
          const page = toPage(rows, limit, {
            json: (row) => row.line,
            position: (row) => row.position,
          })
          const tableId = JSON.stringify(table.id)
          return { ...page, members: { tableId, ...commitMembers(commit) } }
        },
        itemsName: 'actions',
      })
    },
  )
}

function refuseUnknownCommit({ commitsFrom }: KnownHistory, version: number): void {
  if (version < commitsFrom)
    throw historyNotAvailable(`The commit of version ${version}`, commitsFrom)
}

const proposalBody = {
  content: {
    'application/json': { schema: CreateCommit },
    'application/x-ndjson': { schema: ActionLines },
  },
}

/** Receives a proposal and hands it on. What was staged for it is dropped unless it is handed on. */
async function receive(
  request: FastifyRequest,
  id: string,
  { db, stagePool, actionsMax, heldActionsMax }: CommitRoutesContext,
): Promise<Part> {
  const table = tableKey(id)
  const intake = openIntake({
    actionsMax,
    heldActionsMax,
    readHead: async () => headOf(await getTable(db, table)),
    createStage: () => createStage({ db, stagePool }),
  })
  try {
    return { table, proposal: await readBody(request, intake) }
  } catch (error) {
    await intake.abandon()
    throw error
  }
}

function readBody(request: FastifyRequest, intake: Intake): Promise<Proposal> {
  const body = request.body as CreateCommit | LinesBody
  const query = request.query as CreateCommitQuery
  if (!(body instanceof LinesBody)) {
    refuseMisplaced(query)
    return receiveJson(body, bodyText(request), intake)
  }
  return receiveLines(body, { query, findFaults: faultFinder(request, CreateCommit) }, intake)
}

function answerCommit(verdict: Verdict, request: FastifyRequest): Answer {
  if (verdict.kind === 'refused') return problemAnswer(verdict.problem, request)
  const [commit] = verdict.commits
  if (commit === undefined) throw new Error('a unit of one table was committed without a commit')
  const { tableId, version } = commit.row
  return jsonAnswer(commit.status === 'duplicate' ? 200 : 201, receiptText(commit), {
    location: `/tables/${tableId}/commits/${version}`,
  })
}
