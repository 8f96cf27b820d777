// All jobs of a tenant as server-sent events: state, not a log, as `subscribe_tenant` gives it on a socket. So there is no cursor:
// whoever comes back gets the list again.

import type { FastifyInstance } from 'fastify'
import { tenantEventsQuery, type TenantEventsQuery } from '../../protocol/schema/queries.ts'
import { admitReader, streamEvents, type EventStreamOptions } from '../event-stream.ts'
import type { Frame } from '../frame.ts'
import type { Hub } from '../hub.ts'
import { toHeadwayError } from '../problem.ts'
import { TenantWatch } from '../tenant-watch.ts'

export interface TenantEventsRouteOptions extends EventStreamOptions { hub: Pick<Hub, 'joinTenant'> }

export function registerTenantEventsRoute (app: FastifyInstance, options: TenantEventsRouteOptions): void {
  const { hub, admission } = options
  const schema = {
    tags: ['live'],
    summary: 'Watch all jobs of the tenant as server-sent events',
    description: 'First `tenant.snapshot` with the newest 200 jobs, then `tenant.job_changed` and `tenant.job_removed`; `data:` is a message of docs/protocol.md. There is no cursor: whoever comes back gets the list again. The token may also come as `?token=`, a ticket as `?ticket=`.',
    querystring: tenantEventsQuery,
    produces: ['text/event-stream'],
    response: { 200: { type: 'string', description: 'Messages, without an end.' } }
  }
  const config = { stream: true, codes: ['overloaded', 'not_ready'] } as const

  app.get<{ Querystring: TenantEventsQuery }>('/v1/events', { config, schema, exposeHeadRoute: false }, async (request, reply) => {
    admission.knock(request)
    const identity = await admitReader(request, request.query, options)
    await streamEvents(request, reply, identity, options, {
      blockOf,
      follow (stream) {
        const watch = new TenantWatch({
          backlog: stream.backlog,
          tenantEnded: why => stream.ended(why),
          tenantLost: () => stream.cut()
        }, hub, identity.tenant_id)
        watch.begin(() => stream.begin()).catch(why => stream.ended(toHeadwayError(why)))
        return () => watch.stop()
      }
    })
    return reply
  })
}

/** Every message begins with its type. */
function blockOf ({ text }: Frame): string {
  return `event: ${/^\{"type":"([\w.]+)"/.exec(text)?.[1] ?? 'message'}\ndata: ${text}\n\n`
}
