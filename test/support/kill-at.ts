import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import pg from 'pg'

type Calls = Record<string, (...args: unknown[]) => unknown>

/**
 * Has this process get a signal at a step of its work: before or after the `count`-th call of a function of the file
 * system (`link`, `after sync`), of a request to S3 (`PutObject`) or of a statement with a text (`sql:update mirrors`).
 */
export async function killAt(step: string, count: number, signal: string): Promise<void> {
  const [, isAfter, call = ''] = /^(after )?(?:before )?(.*)$/.exec(step) ?? []
  let left = count
  const strike = () => {
    left -= 1
    if (left === 0) process.kill(process.pid, signal)
  }
  const watch = (owner: object, name: string, isMeant: (first: unknown) => boolean) => {
    const calls = owner as Calls
    const original = calls[name]
    if (original === undefined) return
    calls[name] = function (this: unknown, ...args: unknown[]) {
      if (!isMeant(args[0])) return original.apply(this, args)
      if (isAfter === undefined) strike()
      const result = original.apply(this, args)
      return isAfter === undefined ? result : Promise.resolve(result).finally(strike)
    }
  }
  if (call.startsWith('sql:')) {
    const text = call.slice('sql:'.length)
    watch(pg.Client.prototype, 'query', (query) => textOf(query).includes(text))
    return
  }
  if (/^[A-Z]/.test(call)) {
    // Loaded for those alone that need it: it takes a while.
    const { S3Client } = await import('@aws-sdk/client-s3')
    watch(S3Client.prototype, 'send', (command) => command?.constructor.name === `${call}Command`)
    return
  }
  await using handle = await fs.open(import.meta.filename)
  for (const owner of [fs, Object.getPrototypeOf(handle)]) watch(owner, call, () => true)
  syncBuiltinESMExports()
}

function textOf(query: unknown): string {
  const text = typeof query === 'object' && query !== null && 'text' in query ? query.text : query
  return typeof text === 'string' ? text : ''
}
