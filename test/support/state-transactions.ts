import type { Api, TestAnswer } from './api.ts'

/** An interactive transaction as a client goes on with it. */
export interface TransactionClient {
  id: string
  path: string
  begun: TestAnswer
  /** Does operations on a namespace. */
  run: (
    namespace: string,
    operations: readonly object[],
    headers?: Record<string, string>,
  ) => Promise<TestAnswer>
  commit: (headers?: Record<string, string>) => Promise<TestAnswer>
  rollBack: (headers?: Record<string, string>) => Promise<TestAnswer>
  look: () => Promise<TestAnswer>
}

/** Begins an interactive transaction. */
export async function beginAt(api: Api, terms: object = {}): Promise<TransactionClient> {
  const begun = await api.post('/state/transactions', terms)
  if (begun.status !== 201) throw new Error(begun.text)
  const { txId } = begun.body
  return clientOf(api, { begun, id: txId })
}

/** Goes on with a transaction at some server. */
export function clientOf(
  api: Api,
  { id, begun }: Pick<TransactionClient, 'id' | 'begun'>,
): TransactionClient {
  const path = `/state/transactions/${id}`
  return {
    id,
    path,
    begun,
    run: (namespace, operations, headers) =>
      api.post(`${path}/operations`, { namespace, operations }, headers),
    commit: (headers) => api.post(`${path}/commit`, undefined, headers),
    rollBack: (headers) => api.post(`${path}/rollback`, undefined, headers),
    look: () => api.get(path),
  }
}

export const put = (key: string, value: unknown, more: object = {}) => ({
  put: { key, value, ...more },
})
export const get = (key: string) => ({ get: { key } })
export const remove = (key: string, more: object = {}) => ({ delete: { key, ...more } })
export const list = (more: object = {}) => ({ list: more })
