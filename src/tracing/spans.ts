import { type Context, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'

/** Makes spans. Without `startTracing` they are nothing and cost next to nothing. */
export function tracer(): Tracer {
  return trace.getTracer('deltaworks')
}

/** Does work in a span of its own, which an error marks as failed. */
export function inSpan<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  return tracer().startActiveSpan(name, async (span) => {
    try {
      return await work()
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR })
      throw error
    } finally {
      span.end()
    }
  })
}

/** A stage that is over, in epoch milliseconds. */
export interface Stage {
  name: string
  from: number
  to: number
}

/** Whether anybody is told what happens within. */
export function isTraced(within: Context): boolean {
  return trace.getSpan(within)?.isRecording() ?? false
}

/** Tells of stages that were gone through together with others, below the span of one that went through them. */
export function addStages(
  within: Context,
  stages: readonly Stage[],
  attributes: Readonly<Record<string, string | number>>,
): void {
  for (const { name, from, to } of stages) {
    tracer().startSpan(name, { startTime: from, attributes }, within).end(to)
  }
}
