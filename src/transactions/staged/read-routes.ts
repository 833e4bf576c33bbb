import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import Type from 'typebox'
import type { DeclaredReads } from '../../commits/reads.ts'
import type { Fault } from '../../delta/faults.ts'
import type { PredicateNode } from '../../delta/predicates/shape.ts'
import { jsonAnswer, sendOutcome } from '../../http/answers.ts'
import { invalidRequest } from '../../http/faults.ts'
import { parseJson } from '../../http/json-reading.ts'
import { sendList } from '../../http/lists.ts'
import { jsonResponse, listResponse, PageQuery, refusals, strictObject } from '../../http/schema.ts'
import { faultFinder } from '../../http/validation.ts'
import { Problem } from '../../problems.ts'
import { openScan } from '../../scans/scan-files.ts'
import { type ScanListContext, scanList } from '../../scans/scan-list.ts'
import { PredicateRef, ScanResult, summaryHeader } from '../../scans/schema.ts'
import { type ActionInForce, listActionsInForce } from '../../snapshots/queries.ts'
import { Snapshot } from '../../snapshots/schema.ts'
import { snapshotText } from '../../snapshots/snapshot-json.ts'
import { TransactionTableParams } from '../schema.ts'
import { readTable } from './read-table.ts'

const refused = refusals(
  'transaction-not-found',
  'transaction-not-active',
  'table-not-found',
  'version-not-found',
  'history-not-available',
  'invalid-cursor',
)

/** `/transactions/:id/tables/:tableId/snapshot` and `/files`: tables as a transaction sees them. */
export const transactionReadRoutes: FastifyPluginAsyncTypebox<ScanListContext> = async (
  app,
  context,
) => {
  const { db } = context

  app.get(
    '/transactions/:id/tables/:tableId/snapshot',
    {
      schema: {
        operationId: 'getTransactionSnapshot',
        tags: ['transactions'],
        summary: 'A table as the transaction sees it',
        description:
          'At ReadCommitted the newest version; else that of the one view of all tables that the first read has fixed. What is staged is not seen. At Serializable the whole table counts as read, with its app transactions and domains.',
        params: TransactionTableParams,
        response: { 200: jsonResponse('The snapshot.', Snapshot), ...refused },
      },
    },
    async (request, reply) => {
      const { id, tableId: table } = request.params
      const seen = await readTable(db, { id, table }, async (tx, { tableId, commit }) => {
        const inForce = await listActionsInForce(tx, tableId, commit.version)
        return { reads: readsOf(inForce), result: inForce }
      })
      const text = snapshotText(seen.tableId, seen.commit, seen.result)
      return sendOutcome(reply, { answer: jsonAnswer(200, text), replayed: false })
    },
  )

  app.get(
    '/transactions/:id/tables/:tableId/files',
    {
      schema: {
        operationId: 'listTransactionFiles',
        tags: ['transactions'],
        summary: 'Live files as the transaction sees them',
        description:
          'Of the version that its snapshot would tell of; with `predicate` those that can hold rows that satisfy it. At Serializable that counts as read: the predicate, or else the whole table.',
        params: TransactionTableParams,
        querystring: strictObject({
          predicate: Type.Optional(
            Type.String({
              maxLength: 10_000,
              description:
                'As that of a scan, as JSON. Files that cannot hold such rows are left out.',
            }),
          ),
          ...PageQuery,
        }),
        response: {
          200: listResponse('A page of files.', ScanResult, summaryHeader),
          ...refused,
        },
      },
    },
    async (request, reply) => {
      const { id, tableId: table } = request.params
      const predicate = readPredicate(request, request.query.predicate)
      const scan = predicate === undefined ? {} : { predicate }
      const { tableId, commit } = await readTable(db, { id, table }, async (tx, seen) => {
        const asked = { tableId: seen.tableId, scan }
        await openScan(tx, asked, seen.commit.version).catch(asOfQuery)
        const reads = predicate === undefined ? { wholeTable: true } : { predicates: [predicate] }
        return { reads, result: undefined }
      })
      const list = scanList(context, `transaction-files/${id}`, { tableId, commit, scan })
      return sendList(request, reply, list)
    },
  )
}

/** A snapshot tells of all there is of a table, by its statistics. */
function readsOf(inForce: readonly ActionInForce[]): DeclaredReads {
  const actions = inForce.map(({ action }) => JSON.parse(action))
  return {
    wholeTable: true,
    appIds: actions.flatMap(({ txn }) => txn?.appId ?? []),
    domains: actions.flatMap(({ domainMetadata }) => domainMetadata?.domain ?? []),
  }
}

function readPredicate(
  request: FastifyRequest,
  text: string | undefined,
): PredicateNode | undefined {
  if (text === undefined) return undefined
  const value = parsePredicateText(text)
  const faults = faultFinder(request, PredicateRef)(value as object)
  if (faults.length > 0) throw ofQuery(faults)
  return value as PredicateNode
}

function parsePredicateText(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    throw ofQuery([{ pointer: '', message: 'is not JSON' }])
  }
}

function ofQuery(faults: readonly Fault[]): Problem {
  return invalidRequest(
    'query',
    faults.map((fault) => ({ ...fault, pointer: `/query/predicate${fault.pointer}` })),
  )
}

/** Faults of a scan are told where its predicate stands. */
function asOfQuery(error: unknown): never {
  const errors = error instanceof Problem ? (error.facts['errors'] as Fault[] | undefined) : []
  if (errors === undefined || errors.length === 0) throw error
  throw ofQuery(
    errors.map((fault) => ({ ...fault, pointer: fault.pointer.slice('/predicate'.length) })),
  )
}
