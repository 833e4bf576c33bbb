import pg from 'pg'
import { parseDatabaseUrl } from './database-url.ts'
import { explainTlsError, readTls, type TlsOptions } from './tls.ts'
import { mergeTls, type TlsSettings } from './tls-settings.ts'

/** One way to a PostgreSQL: a URL, or the socket of the embedded one. Without `ssl` the driver's environment says. */
export type Way = (
  | { connectionString: string }
  | { host: string; port: number; user: string; database: string }
) & { ssl?: TlsOptions | false }

/** A PostgreSQL that may be the primary, and the ways to it in the order in which they are tried. */
export interface RouteHost {
  name: string
  ways: readonly Way[]
}

export interface RouteOptions {
  hosts: readonly RouteHost[]
  /** Whether only a PostgreSQL will do that can be written to. */
  needsPrimary: boolean
  /** How long one host may take to answer what it is. */
  probeMsMax: number
}

/** Thrown while no host is a primary; says of each what it is. */
export class NoPrimaryError extends Error {
  override readonly name = 'NoPrimaryError'
  readonly code = 'NO_PRIMARY'
}

/** What a host is. */
interface Finding {
  way: Way
  timeline: number
}

/**
 * Knows the way to the primary, where there are several hosts or ways. It is sought among all of them at once whenever
 * it is in doubt, and of several that can be written to the one on the newest timeline is taken: a primary that comes
 * back after another was promoted is left alone.
 */
export class Route {
  readonly #options: RouteOptions
  #way: Way
  #isKnown = false
  #timeline = 0
  #seeking: Promise<void> | undefined
  #onMove: () => void = () => {}

  constructor(options: RouteOptions) {
    const first = options.hosts[0]?.ways[0]
    if (first === undefined) throw new Error('a route needs a host')
    this.#options = options
    this.#way = first
  }

  /** The way that was found last. */
  get way(): Way {
    return this.#way
  }

  get needsPrimary(): boolean {
    return this.#options.needsPrimary
  }

  /** Has `listener` told when another primary was found, or the same on another timeline. */
  onMove(listener: () => void): void {
    this.#onMove = listener
  }

  /** Has the primary sought again before the next connection is made. */
  doubt(): void {
    this.#isKnown = false
  }

  /** Resolves when the way is known, at once where it is. Throws `NoPrimaryError`, or why the only host refuses. */
  async settle(): Promise<void> {
    if (this.#isKnown) return
    this.#seeking ??= this.#seek().finally(() => {
      this.#seeking = undefined
    })
    await this.#seeking
  }

  async #seek(): Promise<void> {
    const { hosts } = this.#options
    const results = await Promise.allSettled(hosts.map((host) => this.#ask(host)))
    let best: Finding | undefined
    for (const result of results) {
      if (result.status === 'rejected' || result.value.timeline < this.#timeline) continue
      if (best === undefined || result.value.timeline > best.timeline) best = result.value
    }
    if (best === undefined) throw this.#refusal(results)
    const isOther = best.way !== this.#way || best.timeline !== this.#timeline
    const hasMoved = isOther && this.#timeline !== 0
    this.#way = best.way
    this.#timeline = best.timeline
    this.#isKnown = true
    if (hasMoved) this.#onMove()
  }

  #refusal(results: readonly PromiseSettledResult<Finding>[]): unknown {
    const { hosts } = this.#options
    const [first] = results
    if (hosts.length === 1 && first?.status === 'rejected') return first.reason
    const reasons = results.map((result, index) => {
      const reason =
        result.status === 'rejected'
          ? reasonOf(result.reason)
          : `it is on timeline ${result.value.timeline}, behind ${this.#timeline}`
      return `${hosts[index]?.name}: ${reason}`
    })
    return new NoPrimaryError(`no primary is reachable (${reasons.join('; ')})`)
  }

  /** Tries the ways to one host. Where all fail, the error is the first that is not about TLS. */
  async #ask({ ways }: RouteHost): Promise<Finding> {
    const errors: unknown[] = []
    for (const way of ways) {
      try {
        return { way, timeline: await this.#probe(way) }
      } catch (error) {
        errors.push(error)
      }
    }
    throw errors.find((error) => explainTlsError(error) === undefined) ?? errors[0]
  }

  /** Answers the timeline. */
  async #probe(way: Way): Promise<number> {
    const { needsPrimary, probeMsMax } = this.#options
    const client = new pg.Client({
      ...way,
      application_name: 'deltaworks',
      connectionTimeoutMillis: probeMsMax,
      query_timeout: probeMsMax,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      if (!needsPrimary) return 0
      const { rows } = await client.query(primaryQuery)
      const { standby, readOnly, walFile } = rows[0]
      if (standby) throw new NoPrimaryError('it is a standby')
      if (readOnly) throw new NoPrimaryError('it takes no writes')
      return Number.parseInt(walFile.slice(0, 8), 16)
    } finally {
      // Not waited for: a host that hangs would never say good-bye.
      client.end().catch(() => {})
    }
  }
}

/** The name of the file in which the log is being written begins with the timeline, also right after a promotion. */
const primaryQuery = `select pg_is_in_recovery() as standby,
  current_setting('default_transaction_read_only')::boolean as "readOnly",
  case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_lsn()) end as "walFile"`

function reasonOf(error: unknown): string {
  return explainTlsError(error) ?? (error instanceof Error ? error.message : String(error))
}

const probeMsMax = 2000

/**
 * How to get to the PostgreSQL of a URL that was found right: a plain way where there is but one, else a route. Throws
 * where a file for TLS cannot be used.
 */
export async function routeTo(text: string, settings: TlsSettings): Promise<Way | Route> {
  const url = parseDatabaseUrl(text)
  if (typeof url === 'string') throw new Error(`the URL of PostgreSQL must be ${url}`)
  const tls = await readTls(mergeTls(settings, url.tls))
  const hosts = url.hosts.map(({ name, url: connectionString, isSocket }): RouteHost => {
    if (tls === undefined) return { name, ways: [{ connectionString }] }
    // As libpq has it, there is no TLS on a socket of this machine.
    const kinds = isSocket ? [false as const] : tls
    return { name, ways: kinds.map((ssl) => ({ connectionString, ssl })) }
  })
  const [host] = hosts
  const [way, ...otherWays] = host?.ways ?? []
  const needsPrimary = url.wantsPrimary
  const isPlain = hosts.length === 1 && otherWays.length === 0 && !needsPrimary
  return isPlain && way !== undefined ? way : new Route({ hosts, needsPrimary, probeMsMax })
}
