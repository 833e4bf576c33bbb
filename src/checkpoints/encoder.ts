import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { EncodedCounts, EncodingOptions } from './parquet-encoding.ts'

/** What the thread is asked: one at a time, each answered before the next. */
export type EncoderRequest = { kind: 'lines'; bytes: Uint8Array } | { kind: 'finish' }

export type EncoderAnswer =
  | { kind: 'taken'; bytes: Uint8Array | undefined }
  | { kind: 'finished'; bytes: Uint8Array; counts: EncodedCounts }

/** Encodes a file of a checkpoint in a thread of its own. Disposing ends the thread. */
export interface Encoder extends AsyncDisposable {
  /**
   * Takes lines, whole or in pieces, each ended by a line feed, while those before are still encoded. Throws, then or
   * later, for an action that the file cannot hold.
   */
  write: (bytes: Uint8Array) => Promise<void>
  /** Ends the file: no lines will come. */
  finish: () => Promise<EncodedCounts>
}

/** What the thread may take beside the buffers of what it encodes. */
const memoryMax = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 }

/** `output` gets the bytes of the file in their order. */
export function startEncoder(
  options: EncodingOptions,
  output: (bytes: Uint8Array) => Promise<void>,
): Encoder {
  const worker = new Worker(new URL('./encode-worker.ts', import.meta.url), {
    workerData: options,
    resourceLimits: memoryMax,
    // As with the decoder of checkpoints, what a process loads before all else is not wanted here.
    execArgv: [],
  })
  const failed = once(worker, 'error').then(([error]) => Promise.reject(error))
  // Who waits for an answer is told; else nobody need be.
  failed.catch(() => {})

  async function ask(request: EncoderRequest): Promise<EncoderAnswer> {
    const answered = once(worker, 'message')
    worker.postMessage(request)
    const [answer] = await Promise.race([answered, failed])
    return answer
  }

  async function encode(bytes: Uint8Array): Promise<void> {
    const answer = await ask({ kind: 'lines', bytes })
    if (answer.bytes !== undefined) await output(answer.bytes)
  }

  let encoding = Promise.resolve()
  return {
    async write(bytes) {
      await encoding
      encoding = encode(bytes)
      encoding.catch(() => {})
    },
    async finish() {
      await encoding
      const answer = await ask({ kind: 'finish' })
      if (answer.kind !== 'finished') throw new Error('the last answer is the end of the file')
      await output(answer.bytes)
      return answer.counts
    },
    async [Symbol.asyncDispose]() {
      await worker.terminate()
    },
  }
}
