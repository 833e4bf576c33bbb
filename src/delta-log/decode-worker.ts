import { parentPort, workerData } from 'node:worker_threads'
import { checkpointLines } from './checkpoint-lines.ts'
import type { DecoderAnswer, DecoderRequest } from './decoder.ts'

// Decodes a Parquet file of a checkpoint, so that the thread that answers requests need not.

const reads = new Map<number, (bytes: ArrayBuffer) => void>()
let numReads = 0

function answer(message: DecoderAnswer): void {
  parentPort?.postMessage(message)
}

function read(start: number, end: number): Promise<ArrayBuffer> {
  numReads += 1
  const { promise, resolve } = Promise.withResolvers<ArrayBuffer>()
  reads.set(numReads, resolve)
  answer({ kind: 'read', id: numReads, start, end })
  return promise
}

const lines = checkpointLines(read, workerData.size)

async function next(): Promise<void> {
  const { value } = await lines.next()
  answer({ kind: 'lines', lines: value || undefined })
}

parentPort?.on('message', (request: DecoderRequest) => {
  if (request.kind === 'next') {
    // What fails here ends the thread, and is told there.
    void next()
  } else {
    reads.get(request.id)?.(request.bytes)
    reads.delete(request.id)
  }
})
