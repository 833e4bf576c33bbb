import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { objectText } from './json-text.ts'

const ndjsonType = 'application/x-ndjson'

/** True when the caller asks for one item a line instead of pages. */
function wantsNdjson(request: FastifyRequest): boolean {
  return request.headers.accept?.includes(ndjsonType) ?? false
}

/** A place in a list: the values by which the list is ordered, of the last item that was given out. */
export type Position = readonly (string | number)[]

/** A page of a list: each item as JSON text, and where the next page begins. */
export interface Page {
  items: readonly string[]
  next?: Position | undefined
  /** What else stands in the answer of a page, as JSON texts. */
  members?: Record<string, string | undefined>
}

/** Makes an opaque cursor; `list` names the list with all its filters, so that it fits no other. */
function encodeCursor(list: string, position: Position): string {
  return Buffer.from(JSON.stringify([list, ...position])).toString('base64url')
}

/** Reads a cursor back; throws `invalid-cursor` when it was made for another list or not by this service. */
function decodeCursor(list: string, cursor: string, kinds: readonly string[]): Position {
  const parts = readCursor(cursor)
  const [madeFor, ...position] = parts ?? []
  if (madeFor !== list) {
    const reason = parts === undefined ? 'was not made by this service' : 'belongs to another list'
    throw new Problem('invalid-cursor', `The cursor ${reason}. Begin again without one.`)
  }
  const fits = position.length === kinds.length && position.every((v, i) => typeof v === kinds[i])
  if (!fits) throw new Problem('invalid-cursor', 'The cursor was changed. Begin again without one.')
  return position as Position
}

function readCursor(cursor: string): unknown[] | undefined {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return Array.isArray(parts) ? parts : undefined
  } catch {
    return undefined
  }
}

/** A list that can be read page after page, each page in a query of its own. */
export interface PagedList {
  /** Names the list with all its filters. */
  name: string
  /** The types of a position's values. */
  kinds: readonly ('string' | 'number')[]
  readPage: (after: Position | undefined, limit: number) => Promise<Page>
  /** Under what name the items stand in the answer of a page; `items` by default. */
  itemsName?: string
}

const streamPageItems = 1000

/** Answers one page as JSON, or the whole list as NDJSON, holding no more than a page in memory. */
export async function sendList(
  request: FastifyRequest,
  reply: FastifyReply,
  list: PagedList,
): Promise<FastifyReply> {
  const { cursor, limit = 100 } = request.query as { cursor?: string; limit?: number }
  const after = cursor === undefined ? undefined : decodeCursor(list.name, cursor, list.kinds)
  if (wantsNdjson(request)) {
    const first = await list.readPage(after, streamPageItems)
    return reply.type(ndjsonType).send(Readable.from(linesOf(list, first)))
  }
  const { items, next, members } = await list.readPage(after, limit)
  const text = objectText({
    ...members,
    [list.itemsName ?? 'items']: `[${items.join(',')}]`,
    nextCursor: next && JSON.stringify(encodeCursor(list.name, next)),
  })
  return reply.type('application/json').send(text)
}

/** The first page is read before the answer begins, so that a failure there still gets a problem document. */
async function* linesOf(list: PagedList, first: Page): AsyncGenerator<string> {
  let page = first
  while (true) {
    if (page.items.length > 0) yield `${page.items.join('\n')}\n`
    if (page.next === undefined) return
    page = await list.readPage(page.next, streamPageItems)
  }
}

/** Cuts a query's answer, asked for with one row more than `limit`, into a page. */
export function toPage<Row>(
  rows: readonly Row[],
  limit: number,
  item: { json: (row: Row) => string; position: (row: Row) => Position },
): Page {
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  return {
    items: kept.map(item.json),
    next: rows.length > limit && last !== undefined ? item.position(last) : undefined,
  }
}
