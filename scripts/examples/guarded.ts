// A client that holds a lock: it renews the lease in the background, has its work stop when the lease may be lost, and
// releases the lock. Every write names the token, so that one which comes too late is refused. Needs a server:
//   node scripts/examples/guarded.ts --server http://localhost:8080 --lock orders-writer --steps 5
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

/** What work may rely on while a lock is held. */
interface Held {
  token: number
  /** To be sent with every write. */
  fences: { lock: string; token: number }[]
  /** Aborted when the lock is lost, or may be; look at it before each step, and hand it to whatever takes long. */
  signal: AbortSignal
}

interface LockOptions {
  server: string
  lock: string
  ttlMs: number
  /** Time for which to wait for the lock. */
  waitMs: number
}

/** Does work while it holds a lock. Throws what the work throws, or why the lock could not be had. */
async function withLock<Result>(
  { server, lock, ttlMs, waitMs }: LockOptions,
  work: (held: Held) => Promise<Result>,
): Promise<Result> {
  const path = `${server}/locks/${encodeURIComponent(lock)}`
  // Who asks by the same name is the same holder, so each has a name of its own.
  const holder = `${hostname()}/${process.pid}/${randomUUID()}`
  const asked = { holder, ttlMs, waitMs }
  const { token } = await call<{ token: number }>('POST', `${path}/acquire`, asked)
  let until = 0
  const renew = async (ms: number) => {
    // By whichever clock, the lease begins anew behind this moment.
    const begun = performance.now()
    await call('POST', `${path}/renew`, { holder, token }, AbortSignal.timeout(ms))
    until = begun + ttlMs
  }
  // When the lock was granted is not known to who has waited for it, so the lease begins anew at once.
  await renew(ttlMs)
  const over = new AbortController()
  const done = new AbortController()

  async function keep(): Promise<void> {
    const left = () => Math.max(0, Math.min(ttlMs / 3, until - performance.now()))
    while (!done.signal.aborted && left() > 0) {
      await sleep(left(), undefined, { signal: done.signal }).catch(() => {})
      if (done.signal.aborted) return
      try {
        await renew(left())
      } catch (error) {
        if (error instanceof Refusal && error.code === 'lock-lost') break
        // Else the server may be back before the lease has run out.
      }
    }
    over.abort(new Error(`the lock ${lock} is lost`))
  }

  const keeping = keep()
  try {
    return await work({ token, fences: [{ lock, token }], signal: over.signal })
  } finally {
    done.abort()
    await keeping
    // Should this fail, the lease runs out by itself.
    await call('POST', `${path}/release`, { holder, token }).catch(() => {})
  }
}

/** An answer that is no success. */
class Refusal extends Error {
  readonly code: string

  constructor({ code, detail }: { code: string; detail: string }) {
    super(detail)
    this.code = code
  }
}

async function call<Answer>(
  method: string,
  url: string,
  body: object,
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
  const answer = await response.json()
  if (!response.ok) throw new Refusal(answer as { code: string; detail: string })
  return answer as Answer
}

const { values } = parseArgs({
  options: {
    server: { type: 'string', default: 'http://localhost:8080' },
    lock: { type: 'string', default: 'orders-writer' },
    namespace: { type: 'string', default: 'guarded' },
    ttlMs: { type: 'string', default: '10000' },
    steps: { type: 'string', default: '5' },
    pauseMs: { type: 'string', default: '200' },
  },
})
const { server, lock, namespace } = values
const options = { server, lock, ttlMs: Number(values.ttlMs), waitMs: 30_000 }

await withLock(options, async ({ token, fences, signal }) => {
  console.log(`token ${token}: acquired ${lock}`)
  for (let step = 1; step <= Number(values.steps); step += 1) {
    signal.throwIfAborted()
    const entry = `${server}/state/${encodeURIComponent(namespace)}/entries/${token}-${step}`
    const body = { value: token, fences }
    const { revision } = await call<{ revision: number }>('PUT', entry, body)
    console.log(`token ${token}: wrote step ${step} at revision ${revision}`)
    await sleep(Number(values.pauseMs), undefined, { signal })
  }
}).then(
  () => console.log('released'),
  (error) => {
    console.error(`stopped: ${error.cause?.message ?? error.message}`)
    process.exitCode = 1
  },
)
