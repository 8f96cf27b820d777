// POST /v1/tickets: a ticket for one WebSocket or one stream of events, so that no token stands in an address.

import type { FastifyInstance } from 'fastify'
import { TICKET_MS } from '../../protocol/limits.ts'
import { identityOf } from '../guard.ts'
import type { Tickets } from '../tickets.ts'

export function registerTicketRoute (app: FastifyInstance, { tickets }: { tickets: Tickets }): void {
  app.post('/v1/tickets', { config: { scope: 'jobs:read', repeatable: true } }, async (request, reply) => {
    const ticket = await tickets.issue(identityOf(request), request.headers.origin)
    return reply.code(201).send({ ticket, expires_in_ms: TICKET_MS })
  })
}
