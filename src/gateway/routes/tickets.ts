// POST /v1/tickets: a ticket for one WebSocket or one stream of events, so that no token stands in an address.

import type { FastifyInstance } from 'fastify'
import { TICKET_MS } from '../../protocol/limits.ts'
import { ticketReply } from '../../protocol/schema/replies.ts'
import { identityOf } from '../guard.ts'
import type { Tickets } from '../tickets.ts'

export function registerTicketRoute (app: FastifyInstance, { tickets }: { tickets: Tickets }): void {
  app.post('/v1/tickets', {
    config: { scope: 'jobs:read', repeatable: true },
    schema: {
      tags: ['live'],
      summary: 'Get a ticket for one WebSocket or one stream of events',
      description: 'It stands for the token in `?ticket=`: query strings end up in logs. For a page that asks with an Origin, it is good for that origin only.',
      response: { 201: ticketReply }
    }
  }, async (request, reply) => {
    const ticket = await tickets.issue(identityOf(request), request.headers.origin)
    return reply.code(201).send({ ticket, expires_in_ms: TICKET_MS })
  })
}
