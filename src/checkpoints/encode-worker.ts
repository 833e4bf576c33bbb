import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { EncoderAnswer, EncoderRequest } from './encoder.ts'
import { openParquetEncoding } from './parquet-encoding.ts'

// Encodes a file of a checkpoint, so that the thread that answers requests need not, and behind it when processors are
// scarce: on Linux a priority is the thread's own, elsewhere it would be the whole server's.
if (process.platform === 'linux') setPriority(10)

const encoding = openParquetEncoding(workerData)
const decoder = new TextDecoder()
let rest = ''

function answer(message: EncoderAnswer): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (request: EncoderRequest) => {
  if (request.kind === 'lines') {
    const lines = (rest + decoder.decode(request.bytes, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) encoding.add(line)
    answer({ kind: 'taken', bytes: encoding.take() })
  } else {
    const bytes = encoding.finish()
    answer({ kind: 'finished', bytes, counts: encoding.counts() })
  }
})
