// Probes. Liveness asks nobody; readiness stays when Redis goes away later, or every gateway would leave the balancer at once
// and cut every client; it only says `degraded`.

import type { FastifyInstance, FastifySchema } from 'fastify'
import { statusReply } from '../../protocol/schema/replies.ts'
import type { Health } from '../health.ts'

/** @param details beside the status of readiness; absent = strangers may ask */
export function registerHealthRoutes (app: FastifyInstance, health: Health, details?: () => object): void {
  app.get('/livez', { schema: schemaOf('Whether this process serves; asks nobody') }, async (_request, reply) =>
    reply.header('cache-control', 'no-store').send({ status: 'ok' }))
  app.get('/startupz', { schema: schemaOf('Whether Redis was seen once') }, async (_request, reply) => {
    const started = health.started()
    return reply.code(started ? 200 : 503).header('cache-control', 'no-store').send({ status: started ? 'ok' : 'starting' })
  })
  for (const url of ['/readyz', '/healthz']) {
    const schema = details === undefined ? schemaOf('Whether clients should come here') : {}
    app.get(url, { schema }, async (_request, reply) => {
      const status = await health.status()
      return reply.code(status === 'ok' || status === 'degraded' ? 200 : 503).header('cache-control', 'no-store').send({ status, ...details?.() })
    })
  }
}

function schemaOf (summary: string): FastifySchema {
  return { tags: ['probes'], summary, response: { 200: statusReply, 503: statusReply } }
}
