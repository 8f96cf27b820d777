// Probes. Liveness asks nobody; readiness stays when Redis goes away later, or every gateway would leave the balancer at once
// and cut every client; it only says `degraded`.

import type { FastifyInstance } from 'fastify'
import type { Health } from '../health.ts'

export function registerHealthRoutes (app: FastifyInstance, health: Health): void {
  app.get('/livez', async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }))
  app.get('/startupz', async (_request, reply) => {
    const started = health.started()
    return reply.code(started ? 200 : 503).header('cache-control', 'no-store').send({ status: started ? 'ok' : 'starting' })
  })
  for (const url of ['/readyz', '/healthz']) {
    app.get(url, async (_request, reply) => {
      const status = await health.status()
      return reply.code(status === 'ok' || status === 'degraded' ? 200 : 503).header('cache-control', 'no-store').send({ status })
    })
  }
}
