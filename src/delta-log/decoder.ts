import { Worker } from 'node:worker_threads'
import type { ReadRange } from './parquet-column.ts'

/** What the thread is told: to go on, or the bytes that it asked for. */
export type DecoderRequest = { kind: 'next' } | { kind: 'bytes'; id: number; bytes: ArrayBuffer }

/** Lines, undefined at the end of the file; or what is needed of it. */
export type DecoderAnswer =
  | { kind: 'lines'; lines: string[] | undefined }
  | { kind: 'read'; id: number; start: number; end: number }

/** What the thread may take beside the bytes that it decodes. */
const memoryMax = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 16 }

/**
 * Decodes a Parquet file of a checkpoint in a thread of its own, as `checkpointLines` does, some lines ahead of the one
 * who takes them. Throws what `read` throws, and when the file cannot be read.
 */
export async function* decodeCheckpoint(read: ReadRange, size: number): AsyncGenerator<string[]> {
  const worker = new Worker(new URL('./decode-worker.ts', import.meta.url), {
    workerData: { size },
    resourceLimits: memoryMax,
    // What a process loads before all else, as that of a test does, would be loaded for each file.
    execArgv: [],
  })
  const { promise: failed, reject: fail } = Promise.withResolvers<never>()
  // Who waits for an answer is told; else nobody need be.
  failed.catch(() => {})
  let told: (lines: string[] | undefined) => void

  function tell(request: DecoderRequest): void {
    worker.postMessage(request, request.kind === 'bytes' ? [request.bytes] : [])
  }

  function next(): Promise<string[] | undefined> {
    const { promise, resolve } = Promise.withResolvers<string[] | undefined>()
    told = resolve
    tell({ kind: 'next' })
    return Promise.race([promise, failed])
  }

  worker.on('error', fail)
  worker.on('message', (answer: DecoderAnswer) => {
    if (answer.kind === 'lines') told(answer.lines)
    else {
      const { id, start, end } = answer
      read(start, end)
        .then((bytes) => tell({ kind: 'bytes', id, bytes }))
        .catch(fail)
    }
  })
  try {
    let coming = next()
    for (let lines = await coming; lines !== undefined; lines = await coming) {
      coming = next()
      coming.catch(() => {})
      yield lines
    }
  } finally {
    await worker.terminate()
  }
}
