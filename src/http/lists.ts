import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { Ajv } from 'ajv'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static, TSchema } from 'typebox'
import { Problem } from '../problems.ts'
import { objectText } from './json-text.ts'

const ndjsonType = 'application/x-ndjson'

/** Compiles what a place in each list is, once. */
const positions = new Ajv({ strict: false, validateSchema: false })

/** True when the caller asks for one item a line instead of pages. */
function wantsNdjson(request: FastifyRequest): boolean {
  return request.headers.accept?.includes(ndjsonType) ?? false
}

/** A page of a list: each item as JSON text, and where the next page begins. */
export interface Page<Position> {
  items: readonly string[]
  /** The place of the last item: the values by which the list is ordered. */
  next?: Position | undefined
  /** What else stands in the answer of a page, as JSON texts. */
  members?: Record<string, string | undefined>
}

/** Makes an opaque cursor; `list` names the list with all its filters, so that it fits no other. */
function encodeCursor(list: string, position: unknown): string {
  return Buffer.from(JSON.stringify([list, position])).toString('base64url')
}

/** Reads a cursor back; throws `invalid-cursor` when it was made for another list or not by this service. */
function decodeCursor<Position extends TSchema>(
  { name, position }: PagedList<Position>,
  cursor: string,
): Static<Position> {
  const parts = readCursor(cursor)
  const [madeFor, place] = parts ?? []
  if (madeFor !== name) {
    const reason = parts === undefined ? 'was not made by this service' : 'belongs to another list'
    throw new Problem('invalid-cursor', `The cursor ${reason}. Begin again without one.`)
  }
  if (positions.validate<Static<Position>>(position, place)) return place
  throw new Problem('invalid-cursor', 'The cursor was changed. Begin again without one.')
}

function readCursor(cursor: string): unknown[] | undefined {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    return Array.isArray(parts) ? parts : undefined
  } catch {
    return undefined
  }
}

/** The name of a list with all that was asked for, which may be long: a cursor must not grow with it. */
export function listName(list: string, asked: readonly unknown[]): string {
  return `${list}/${createHash('sha256').update(JSON.stringify(asked)).digest('base64url')}`
}

/** A list that can be read page after page, each page in a query of its own. */
export interface PagedList<Position extends TSchema> {
  /** Names the list with all its filters. */
  name: string
  /** What a place in the list is. A cursor may be forged, so all that the query cannot take is left out. */
  position: Position
  readPage: (after: Static<Position> | undefined, limit: number) => Promise<Page<Static<Position>>>
  /** Under what name the items stand in the answer of a page; `items` by default. */
  itemsName?: string
  /** All items from behind a place on as lines, where that is faster than page after page. */
  openAll?: ((after: Static<Position> | undefined) => Promise<Readable>) | undefined
  /** The header that has these members of a page, as JSON, where the items are lines. */
  summary?: { header: string; members: readonly string[] }
  /** Those members where `openAll` opens the list. */
  membersOfAll?: (after: Static<Position> | undefined) => Page<unknown>['members']
  /** Where the list is asked for by a body, what it says of pages; else the query does. */
  paging?: Paging
}

/** Which page is asked for. */
export interface Paging {
  cursor?: string | undefined
  limit?: number | undefined
}

const streamPageItems = 1000

/** Answers one page as JSON, or the whole list as NDJSON, holding no more than a page in memory. */
export async function sendList<Position extends TSchema>(
  request: FastifyRequest,
  reply: FastifyReply,
  list: PagedList<Position>,
): Promise<FastifyReply> {
  const { cursor, limit = 100 } = list.paging ?? (request.query as Paging)
  const after = cursor === undefined ? undefined : decodeCursor(list, cursor)
  if (wantsNdjson(request)) {
    const { members, lines } = await openLines(list, after)
    if (list.summary !== undefined)
      reply.header(list.summary.header, summaryText(list.summary, members))
    return reply.type(ndjsonType).send(lines)
  }
  const { items, next, members } = await list.readPage(after, limit)
  const text = objectText({
    ...members,
    [list.itemsName ?? 'items']: `[${items.join(',')}]`,
    nextCursor: next === undefined ? undefined : JSON.stringify(encodeCursor(list.name, next)),
  })
  return reply.type('application/json').send(text)
}

/** The first page is read before the answer begins, so that a failure there still gets a problem document. */
async function openLines<Position extends TSchema>(
  list: PagedList<Position>,
  after: Static<Position> | undefined,
): Promise<{ members: Page<unknown>['members']; lines: Readable }> {
  if (list.openAll !== undefined) {
    return { members: list.membersOfAll?.(after), lines: await list.openAll(after) }
  }
  const first = await list.readPage(after, streamPageItems)
  return { members: first.members, lines: Readable.from(linesOf(list, first)) }
}

function summaryText(
  { members: names }: { members: readonly string[] },
  members: Page<unknown>['members'],
): string {
  return objectText(Object.fromEntries(names.map((name) => [name, members?.[name]])))
}

async function* linesOf<Position extends TSchema>(
  list: PagedList<Position>,
  first: Page<Static<Position>>,
): AsyncGenerator<string> {
  let page = first
  while (true) {
    if (page.items.length > 0) yield `${page.items.join('\n')}\n`
    if (page.next === undefined) return
    page = await list.readPage(page.next, streamPageItems)
  }
}

/** Cuts a query's answer, asked for with one row more than `limit`, into a page. */
export function toPage<Row, Position>(
  rows: readonly Row[],
  limit: number,
  item: { json: (row: Row) => string; position: (row: Row) => Position },
): Page<Position> {
  const kept = rows.slice(0, limit)
  const last = kept.at(-1)
  return {
    items: kept.map(item.json),
    next: rows.length > limit && last !== undefined ? item.position(last) : undefined,
  }
}
