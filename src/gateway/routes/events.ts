// A job as server-sent events: the same room, order and cursor as on a socket. `id:` is the cursor, which browsers send back as
// Last-Event-ID.

import type { FastifyInstance } from 'fastify'
import { formatCursor, parseCursor, type Cursor } from '../../protocol/cursor.ts'
import { HeadwayError } from '../../protocol/errors.ts'
import { eventsQuery, jobParams, type EventsQuery, type JobParams } from '../../protocol/schema/queries.ts'
import { admitReader, streamEvents, type EventStreamOptions } from '../event-stream.ts'
import type { Join } from '../join.ts'
import { joinOptions } from '../join-options.ts'

export interface EventsRouteOptions extends EventStreamOptions { join: Join }

export function registerEventsRoute (app: FastifyInstance, options: EventsRouteOptions): void {
  const { join, admission } = options
  const schema = {
    tags: ['live'],
    summary: 'Watch a job as server-sent events',
    description: '`id:` is the cursor, which browsers send back as Last-Event-ID; `data:` is a message of docs/protocol.md. The token may also come as `?token=`, a ticket as `?ticket=`.',
    params: jobParams,
    querystring: eventsQuery,
    produces: ['text/event-stream'],
    response: { 200: { type: 'string', description: 'Messages, until the job\'s end.' }, 204: { type: 'null', description: 'The job had ended at the position asked for.' } }
  }
  const codes = ['unknown_job', 'invalid_cursor', 'overloaded', 'not_ready', 'archive_unavailable'] as const
  const config = { stream: true, codes } as const

  app.get<{ Params: JobParams, Querystring: EventsQuery }>('/v1/jobs/:id/events', { config, schema, exposeHeadRoute: false }, async (request, reply) => {
    const { query, params: { id }, headers } = request
    admission.knock(request)
    // A browser that comes back sends the same address again: what it has heard since then counts.
    const since = cursorOf(headers['last-event-id']?.toString() ?? query.since)
    const identity = await admitReader(request, query, options)
    let epoch = since?.epoch ?? 0
    await streamEvents(request, reply, identity, options, {
      blockOf ({ text, head }) {
        if (head === null) return null
        epoch = head.epoch ?? epoch
        return `id: ${formatCursor({ epoch, seq: head.seq })}\nevent: ${head.type}\ndata: ${text}\n\n`
      },
      follow (stream) {
        const place = join(identity, id, {
          joined (_resumed, nothingFollows) {
            if (nothingFollows) stream.nothing()
            else stream.begin()
          },
          send (frame) {
            const taken = stream.backlog.take(id, frame, place)
            if (taken && frame.head?.final === true) stream.close()
            return taken
          },
          ended: why => stream.ended(why)
        }, { ...joinOptions(query), since })
        return () => place.leave()
      }
    })
    return reply
  })
}

/** @throws HeadwayError invalid_cursor */
function cursorOf (text: string | undefined): Cursor | null {
  if (text === undefined) return null
  const cursor = parseCursor(text)
  if (cursor === null) throw new HeadwayError('invalid_cursor', `${JSON.stringify(text.slice(0, 64))} is no cursor; send the id of the last event.`)
  return cursor
}
