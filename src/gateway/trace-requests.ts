// A span for each HTTP request, joined to its caller's by the traceparent header. Sockets and event streams have none: they last.

import type { FastifyInstance } from 'fastify'
import { endSpan, originOfHeaders, type Span, SpanKind, startSpan, withSpan } from '../tracing/trace.ts'
import { correlationOf } from './routes/replies.ts'

declare module 'fastify' {
  interface FastifyRequest { span?: Span | null }
}

export function traceRequests (app: FastifyInstance): void {
  app.decorateRequest('span', null)

  app.addHook('onRequest', (request, _reply, done) => {
    const { method, routeOptions: { url = 'none', config }, headers } = request
    if (!request.ws && config.stream !== true) {
      request.span = startSpan(`${method} ${url}`, {
        kind: SpanKind.SERVER,
        attributes: { 'http.request.method': method, 'http.route': url },
        parent: originOfHeaders(headers)
      })
    }
    done()
  })

  // Not before: the body comes in events of the connection, which know of no request.
  app.addHook('preHandler', (request, _reply, done) => {
    const { span } = request
    if (span === null || span === undefined) return done()
    withSpan(span, done)
  })

  app.addHook('onResponse', (request, { statusCode }, done) => {
    const { span } = request
    if (span !== null && span !== undefined) {
      const cid = correlationOf(request)
      const attributes = { 'http.response.status_code': statusCode, ...(cid === undefined ? {} : { correlation_id: cid }) }
      endSpan(span, attributes, statusCode >= 500 ? `status ${statusCode}` : undefined)
    }
    done()
  })
}
