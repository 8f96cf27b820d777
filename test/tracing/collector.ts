// Stand-in for an OpenTelemetry collector: takes OTLP over HTTP as JSON and keeps the spans.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CollectedSpan {
  service: string
  name: string
  trace_id: string
  span_id: string
  parent_id: string
  attributes: Record<string, unknown>
}

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT would be. */
  readonly url: string
  readonly spans: CollectedSpan[]
  /** Requests that were no JSON for /v1/traces. */
  readonly odd: string[]
  stop (): Promise<void>
}

interface Value { stringValue?: string, intValue?: number | string, boolValue?: boolean }
interface Attribute { key: string, value: Value }
interface Span { name: string, traceId: string, spanId: string, parentSpanId?: string, attributes: Attribute[] }
interface Export { resourceSpans: { resource: { attributes: Attribute[] }, scopeSpans: { spans: Span[] }[] }[] }

export async function startCollector (): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const odd: string[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', chunk => { text += String(chunk) })
    request.on('end', () => {
      const { url, headers } = request
      if (url === '/v1/traces' && headers['content-type'] === 'application/json') keep(JSON.parse(text) as Export)
      else odd.push(`${url} ${headers['content-type']}`)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })

  function keep ({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = String(valuesOf(resource.attributes)['service.name'])
      for (const { name, traceId, spanId, parentSpanId = '', attributes } of scopeSpans.flatMap(({ spans }) => spans)) {
        spans.push({ service, name, trace_id: traceId, span_id: spanId, parent_id: parentSpanId, attributes: valuesOf(attributes) })
      }
    }
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    odd,
    async stop () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

function valuesOf (attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? value.boolValue]))
}
