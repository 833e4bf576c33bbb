import type { EventEmitter } from 'node:events'
import pg from 'pg'
import { NoPrimaryError, Route, type Way } from './route.ts'

/** What is known of a connection since it was made. */
interface Origin {
  way: Way
  /** The era of the pool in which it was made; what comes from an earlier one is not used any more. */
  era: number
  isNew: boolean
  /** Whether PostgreSQL has said that it takes no writes. */
  isReadOnly: boolean
}

export interface CarefulPoolOptions {
  connection: Way | Route
  testsOnAcquire: boolean
}

/** A test that takes longer has failed. */
const testMsMax = 1000
/** Connections in a row at most that may turn out to lead to no primary before a request is refused. */
const surprisesMax = 3

/**
 * A pool that looks at a connection before it gives it out: whether it leads where the route leads by now, and, where
 * that is asked for, whether it is still there. Neither costs a new connection a journey.
 */
export class CarefulPool extends pg.Pool {
  readonly #route: Route | undefined
  readonly #tests: boolean
  readonly #origins = new WeakMap<object, Origin>()
  #era = 0

  constructor(settings: pg.PoolConfig, { connection, testsOnAcquire }: CarefulPoolOptions) {
    const route = connection instanceof Route ? connection : undefined
    const open = (given: pg.PoolConfig) => {
      const way = connection instanceof Route ? connection.way : connection
      return this.#open(given, way)
    }
    // The pool calls it with `new`; what a constructor returns is what there is.
    function Client(given: pg.PoolConfig) {
      return open(given)
    }
    super({ ...settings, Client: Client as unknown as new () => pg.ClientBase })
    this.#route = route
    this.#tests = testsOnAcquire
    this.on('connect', (client) => client.on('error', () => route?.doubt()))
    this.on('error', () => route?.doubt())
  }

  override connect(): Promise<pg.PoolClient>
  override connect(callback: ConnectCallback): void
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | undefined {
    const acquiring = this.#acquire()
    if (callback === undefined) return acquiring
    acquiring.then(
      (client) => callback(undefined, client, client.release),
      (error) => callback(error, undefined, () => {}),
    )
    return undefined
  }

  #open(settings: pg.PoolConfig, way: Way): pg.Client {
    const client = new pg.Client({ ...settings, ...way })
    const origin: Origin = { way, era: this.#era, isNew: true, isReadOnly: false }
    this.#origins.set(client, origin)
    if (this.#route?.needsPrimary) {
      // PostgreSQL says so when it has let a client in, and with the next answer when it has changed.
      connectionOf(client).on('parameterStatus', ({ parameterName, parameterValue }) => {
        if (readOnlyParameters.has(parameterName)) origin.isReadOnly = parameterValue === 'on'
      })
    }
    return client
  }

  async #acquire(): Promise<pg.PoolClient> {
    for (let surprises = 0; surprises < surprisesMax; ) {
      await this.#route?.settle()
      const client = await super.connect().catch((error) => {
        if (!isCrowded(error)) this.#route?.doubt()
        throw error
      })
      const origin = this.#origins.get(client)
      if (origin?.isReadOnly) {
        this.#route?.doubt()
        surprises += 1
      } else if (await this.#isGood(client, origin)) {
        return client
      }
      client.release(true)
    }
    throw new NoPrimaryError('no primary is reachable')
  }

  async #isGood(client: pg.PoolClient, origin: Origin | undefined): Promise<boolean> {
    if (origin === undefined) return true
    const isHere = this.#route === undefined || origin.way === this.#route.way
    if (!isHere || origin.era !== this.#era) return false
    const { isNew } = origin
    origin.isNew = false
    if (isNew || !this.#tests) return true
    const answered = client.query({ text: 'select', query_timeout: testMsMax } as pg.QueryConfig)
    return answered.then(
      () => true,
      () => {
        // Where one is gone the others are too, and to ask each of them would take its time.
        this.#era += 1
        this.#route?.doubt()
        return false
      },
    )
  }
}

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  release: (release?: boolean | Error) => void,
) => void

/** Reported since PostgreSQL 14. */
const readOnlyParameters = new Set(['in_hot_standby', 'default_transaction_read_only'])

function connectionOf(client: pg.Client): EventEmitter {
  return (client as unknown as { connection: EventEmitter }).connection
}

/** Whether all connections were in use for too long, which says nothing about the way. */
function isCrowded(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect'
}

const refillMs = 1000

/** Opens connections until there are `min`, now and whenever one is closed; what fails is tried again. */
export function keepMinimum(pool: pg.Pool, min: number): void {
  if (min === 0) return
  let filling: Promise<void> | undefined
  const fill = async () => {
    // So many at once: of fewer, some would be given the ones that are there.
    const all = Array.from({ length: min }, () => pool.connect())
    const results = await Promise.allSettled(all)
    for (const result of results) if (result.status === 'fulfilled') result.value.release()
    filling = undefined
    if (results.some(({ status }) => status === 'rejected')) later()
  }
  const check = () => {
    if (filling === undefined && !pool.ending && pool.totalCount < min) filling = fill()
  }
  const later = () => setTimeout(check, refillMs).unref()
  pool.on('remove', () => later())
  check()
}
