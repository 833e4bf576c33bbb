import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'
import type { Db } from '../database/connect.ts'
import { listName, sendList } from '../http/lists.ts'
import {
  jsonResponse,
  listResponse,
  refusals,
  requestId,
  strictObject,
  Version,
} from '../http/schema.ts'
import { versionsOf } from './conditions.ts'
import { entryText, etagOf, receiptText } from './entry-json.ts'
import type { EntryReader } from './entry-reader.ts'
import { findEntryAt, findNamespaceHistory, listEntriesAt } from './history-queries.ts'
import { type NamespaceHistory, refuseUnknownRevision } from './history-rules.ts'
import { keyRange } from './key-range.ts'
import type { Namespaces } from './namespaces.ts'
import { findLiveEntries, type KeyRange, listEntries } from './read-queries.ts'
import type { EntryRow } from './rows.ts'
import { entryNotFound } from './rules.ts'
import {
  Entry,
  EntryList,
  EntryParams,
  etagHeader,
  JsonValue,
  Key,
  KeyPageQuery,
  NamespaceParams,
  RawValue,
  ReadHeaders,
} from './schema.ts'

/** What the routes that read entries need. */
export interface StateReadContext {
  db: Db
  namespaces: Namespaces
  entryReader: EntryReader
}

/** Bytes of values on a page at most, but for one entry. */
const pageBytesMax = 16 * 1024 * 1024

const Revision = Type.Optional(
  Version('Read what was there when this revision was written. Without it, what is there now.', {
    minimum: 1,
  }),
)

/** `/state/:namespace/entries`: read values by key, now or at a revision. */
export const stateReadRoutes: FastifyPluginAsyncTypebox<StateReadContext> = async (
  app,
  { db, namespaces, entryReader },
) => {
  async function readEntry(
    reads: Db,
    { namespace, key, revision }: AskedEntry,
  ): Promise<EntryRow | undefined> {
    if (revision === undefined) {
      const known = await namespaces.find(namespace)
      if (known === undefined) return undefined
      const place = { namespaceId: known.namespaceId, key }
      if (reads === db) return entryReader.read(place)
      const [entry] = await findLiveEntries(reads, [place])
      return entry
    }
    return readAt(reads, { namespace, revision }, (namespaceId) =>
      findEntryAt(reads, { namespaceId, key, revision }),
    )
  }

  async function readRange(
    reads: Db,
    { namespace, revision, ...range }: AskedRange,
    limit: number,
  ) {
    const limits = { limit, bytesMax: pageBytesMax }
    if (revision !== undefined) {
      return readAt(reads, { namespace, revision }, (namespaceId) =>
        listEntriesAt(reads, { namespaceId, revision, ...range }, limits),
      )
    }
    const known = await namespaces.find(namespace)
    if (known === undefined) return { entries: [], next: undefined }
    const page = await listEntries(reads, { ...known, ...range }, limits)
    return { ...page, next: page.hasMore ? page.entries.at(-1)?.key : undefined }
  }

  app.get(
    '/state/:namespace/entries/:key',
    {
      schema: {
        operationId: 'getEntry',
        tags: ['state'],
        summary: 'Read an entry',
        description: 'With `raw=true` the value alone, with its own type.',
        headers: ReadHeaders,
        params: EntryParams,
        querystring: strictObject({
          revision: Revision,
          raw: Type.Optional(
            Type.Boolean({ description: 'Whether the answer is the value itself.' }),
          ),
        }),
        response: {
          200: {
            ...jsonResponse('The entry.', Entry, etagHeader),
            content: {
              'application/json': { schema: Type.Union([Entry, JsonValue]) },
              '*/*': { schema: RawValue },
            },
          },
          304: { description: 'It has a version that the caller has.', headers: requestId },
          ...refusals('entry-not-found', 'revision-not-found', 'history-not-available'),
        },
      },
    },
    async (request, reply) => {
      const { namespace, key } = request.params
      const { revision, raw = false } = request.query
      const entry = await readEntry(request.reads.db, { namespace, key, revision })
      if (entry === undefined) throw entryNotFound(namespace, key)
      reply.header('etag', etagOf(entry))
      const { 'if-none-match': etags } = request.headers
      if (etags !== undefined && isAmong(entry, etags)) return reply.code(304).send()
      if (!raw) {
        return reply.type('application/json').send(entryText(namespace, entry))
      }
      const { json, contentType, bytes } = entry.value
      return reply.type(contentType ?? 'application/json').send(json ?? bytes)
    },
  )

  app.get(
    '/state/:namespace/entries',
    {
      schema: {
        operationId: 'listEntries',
        tags: ['state'],
        summary: 'List entries by key',
        description:
          'Keys are ordered by the bytes of UTF-8. A namespace that nobody has written to is empty. A page ends early where values are large.',
        params: NamespaceParams,
        querystring: strictObject({
          revision: Revision,
          prefix: Type.Optional(Key),
          start: Type.Optional(Key),
          end: Type.Optional(Key),
          keysOnly: Type.Optional(Type.Boolean({ description: 'Whether values are left out.' })),
          ...KeyPageQuery,
        }),
        response: {
          200: listResponse('A page of entries.', EntryList),
          ...refusals('invalid-cursor', 'revision-not-found', 'history-not-available'),
        },
      },
    },
    async (request, reply) => {
      const { namespace } = request.params
      const { revision, prefix, start, end, keysOnly = false } = request.query
      const range = keyRange({ prefix, start, end })
      const json = (entry: EntryRow) =>
        keysOnly ? receiptText(namespace, entry) : entryText(namespace, entry)
      return sendList(request, reply, {
        name: listName('entries', [namespace, revision, prefix, start, end, keysOnly]),
        position: Key,
        readPage: async (after, limit) => {
          const { entries, next } = await readRange(
            request.reads.db,
            { namespace, revision, after, ...range },
            limit,
          )
          return { items: entries.map(json), next }
        },
      })
    },
  )
}

/** An entry that is asked for, now or at a revision. */
interface AskedEntry {
  namespace: string
  key: string
  revision: number | undefined
}

/** Entries that are asked for, now or at a revision. */
interface AskedRange extends KeyRange {
  namespace: string
  revision: number | undefined
}

/** Reads at a revision. Throws where that cannot be read, or could no longer when it was: then a part may have left. */
async function readAt<Found>(
  db: Db,
  { namespace, revision }: { namespace: string; revision: number },
  read: (namespaceId: number) => Promise<Found>,
): Promise<Found> {
  const { namespaceId } = await namespaceAt(db, namespace, revision)
  const found = await read(namespaceId)
  await namespaceAt(db, namespace, revision)
  return found
}

/** The namespace as far as it is needed to read at a revision. Throws where that revision cannot be read. */
async function namespaceAt(db: Db, namespace: string, revision: number): Promise<NamespaceHistory> {
  const nothing = { namespaceId: 0, namespace, revision: 0, historyFrom: 1, archiveFrom: null }
  const history = (await findNamespaceHistory(db, namespace)) ?? nothing
  refuseUnknownRevision(history, revision)
  return history
}

function isAmong({ version }: EntryRow, etags: string): boolean {
  return etags.trim() === '*' || versionsOf(etags.replaceAll('W/', '')).includes(version)
}
