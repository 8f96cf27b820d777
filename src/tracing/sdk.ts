// OpenTelemetry's SDK: spans leave by OTLP over HTTP, as JSON. Its other settings are its own (OTEL_TRACES_SAMPLER, OTEL_BSP_*,
// OTEL_EXPORTER_OTLP_HEADERS, OTEL_RESOURCE_ATTRIBUTES …). Its queue is bounded: what a slow collector does not take is dropped.

import { hostname } from 'node:os'
import { context, diag, DiagLogLevel, propagation, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

export interface TracingParams {
  /** Where spans go, whole: http://collector:4318/v1/traces */
  url: string
  /** Unless OTEL_SERVICE_NAME says otherwise. */
  service: string
  log: { warn (fields: object, message: string): void }
}

export interface Tracing {
  /** Sends what is left. Idempotent. */
  stop (): Promise<void>
}

export function startTracing ({ url, service, log }: TracingParams): Tracing {
  let told = ''
  const quiet = (): void => {}
  const warn = (message: string): void => {
    if (message === told) return // a collector that is away stays so for a while
    told = message
    log.warn({ event: 'tracing_failed', reason: message }, 'spans could not be sent')
  }
  const logger = { error: warn, warn, info: quiet, debug: quiet, verbose: quiet }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
  const own = resourceFromAttributes({ 'service.name': service, 'service.instance.id': `${hostname()}-${process.pid}` })
  const provider = new NodeTracerProvider({
    resource: own.merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))]
  })
  provider.register()
  let stopped: Promise<void> | undefined

  return {
    stop () {
      stopped ??= provider.shutdown().catch((error: unknown) => { warn(String(error)) }).finally(() => {
        for (const api of [trace, context, propagation, diag]) api.disable()
      })
      return stopped
    }
  }
}
