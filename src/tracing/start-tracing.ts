import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { version } from '../version.ts'

/** Where spans go, and of how many traces that begin here. */
export interface TracingOptions {
  /** Of a collector that takes OTLP over HTTP; `/v1/traces` is added. */
  endpoint: string
  /** From 0 to 1. */
  share: number
}

/** A stop waits no longer for the collector. */
const exportMsMax = 2_000

/** Sends spans from now on; the answer sends the last of them and ends it. A collector that is away holds up nobody. */
export function startTracing({ endpoint, share }: TracingOptions): () => Promise<void> {
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/$/, '')}/v1/traces`,
    timeoutMillis: exportMsMax,
  })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'deltaworks', 'service.version': version }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return async () => {
    await provider.shutdown().catch(() => {})
    trace.disable()
    propagation.disable()
    context.disable()
  }
}
