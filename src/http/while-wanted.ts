import type { FastifyRequest } from 'fastify'

/** Does work whose signal is aborted when the client has gone. */
export async function whileWanted<Result>(
  request: FastifyRequest,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const gone = new AbortController()
  const { socket } = request.raw
  const onClose = () => gone.abort()
  socket.once('close', onClose)
  try {
    return await work(gone.signal)
  } finally {
    socket.off('close', onClose)
  }
}
