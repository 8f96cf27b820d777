// GET /metrics, for Prometheus.

import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../metrics.ts'

export function registerMetricsRoute (app: FastifyInstance, metrics: Metrics): void {
  const schema = { tags: ['probes'], summary: 'Figures for Prometheus', produces: ['text/plain'] }
  app.get('/metrics', { schema }, async (_request, reply) => {
    return reply.header('content-type', metrics.content_type).header('cache-control', 'no-store').send(await metrics.text())
  })
}
