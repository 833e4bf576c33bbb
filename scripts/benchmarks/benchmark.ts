import type { BareDatabase } from './bare-database.ts'

/** What a benchmark runs on: a server of its own, and the database below it. */
export interface Ground {
  address: string
  database: BareDatabase
  /** The folder of the server. */
  dataDir: string
  /** Tells the tables of this run from those of others. */
  run: string
  /** Calls the server; throws with its answer unless that is a success. */
  // biome-ignore lint/suspicious/noExplicitAny: a benchmark looks into answers of every shape
  call: (method: string, path: string, body?: object) => Promise<any>
}

/** Something measured, in rounds. `bar` says what it should show. */
export interface Benchmark<Prepared = string[]> {
  bar: string
  prepare: (ground: Ground) => Promise<Prepared>
  /** One round: numbers by name. */
  round: (ground: Ground, prepared: Prepared, number: number) => Promise<Record<string, number>>
  /** Stops what `prepare` has started. */
  end?: (prepared: Prepared) => Promise<void>
}
