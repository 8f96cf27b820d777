// Server-sent events: the same room, order and cursor as on a socket, for clients that cannot open one. `id:` is the cursor, which
// browsers send back as Last-Event-ID. A slow reader is behind and catches up, like a slow socket (backlog.ts); one that stays
// behind is cut.

import type { FastifyInstance, FastifyReply } from 'fastify'
import { formatCursor, parseCursor, type Cursor } from '../../protocol/cursor.ts'
import { HeadwayError } from '../../protocol/errors.ts'
import { eventsQuery, jobParams, type EventsQuery, type JobParams } from '../../protocol/schema/queries.ts'
import type { Admission } from '../admission.ts'
import { type Auth, bearerOf, type Identity, requireScope } from '../auth.ts'
import { Backlog } from '../backlog.ts'
import { reconnectAfterMs } from '../departure.ts'
import type { Frame } from '../frame.ts'
import type { Join } from '../join.ts'
import { joinOptions } from '../join-options.ts'
import { toHeadwayError, toProblem } from '../problem.ts'
import type { Streams } from '../streams.ts'
import type { Tickets } from '../tickets.ts'

export interface EventsRouteOptions {
  join: Join
  auth: Auth
  tickets: Pick<Tickets, 'redeem'>
  streams: Streams
  admission: Admission
  /** Between two comments that keep the line open, ms. */
  heartbeat_ms: number
  /** Bytes that one reader may leave unread; beyond it is behind. */
  queue_bytes_max: number
  /** One that stays behind for this long is cut. */
  behind_ms_max: number
}

/** How long a browser waits before it comes back after a cut line, ms: each is told another time, so that they do not come together. */
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 3_000
const COMMENT = ': alive\n\n'
/** The last is for nginx, which else collects before it passes on. */
const STREAM_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

export function registerEventsRoute (app: FastifyInstance, options: EventsRouteOptions): void {
  const { join, auth, tickets, streams, admission } = options
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
    const since = cursorOf(query.since ?? headers['last-event-id']?.toString())
    const token = query.token ?? bearerOf(headers.authorization)
    if (token === null && query.ticket === undefined) throw new HeadwayError('unauthorized', 'Send Authorization: Bearer <token>, ?ticket= or ?token=.')
    const identity = query.ticket === undefined ? await auth.verify(token ?? '') : await tickets.redeem(query.ticket, headers.origin)
    requireScope(identity, 'jobs:read')
    const { tenant_id: tenant } = identity
    admission.enter('streams', tenant)

    const stream = createStream(reply, identity, since, options)
    await new Promise<void>((resolve, reject) => {
      let over = false
      const place = join(identity, id, {
        joined (_resumed, nothingFollows) {
          if (nothingFollows) void reply.code(204).send() // so that a browser stays away
          else stream.begin()
          resolve()
        },
        send (frame) {
          const taken = stream.backlog.take(id, frame, place)
          if (taken && frame.head?.final === true) setImmediate(end)
          return taken
        },
        ended (why) {
          if (!stream.begun()) reject(why ?? new HeadwayError('unknown_job', 'The job is not there any more.'))
          else if (why !== null) stream.tell(why)
          end()
        }
      }, { ...joinOptions(query), since })
      const leave = streams.add(() => {
        if (stream.begun()) stream.askBack()
        end()
      })
      function end (): void {
        if (over) return
        over = true
        leave()
        admission.leave('streams', tenant)
        place.leave()
        stream.end()
        if (stream.begun() || reply.sent || reply.raw.destroyed) resolve()
        else reject(new HeadwayError('not_ready', 'This gateway is stopping; another one will answer.'))
      }
      reply.raw.once('close', end)
      // Who left while the token was looked at is not announced any more.
      if (reply.raw.destroyed || request.raw.socket.destroyed) end()
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

/** The writing side of one answer. */
function createStream (reply: FastifyReply, identity: Identity, since: Cursor | null, options: EventsRouteOptions) {
  const { heartbeat_ms: heartbeatMs, queue_bytes_max: queueMax, behind_ms_max: behindMax } = options
  const { raw } = reply
  let epoch = since?.epoch ?? 0
  let ticker: NodeJS.Timeout | undefined
  const backlog = new Backlog({
    outlet: {
      queued: () => raw.writableLength,
      flush: done => { if (done !== undefined) raw.write(COMMENT, () => done()) }
    },
    write ({ text, head }: Frame) {
      if (head === null) return
      epoch = head.epoch ?? epoch
      raw.write(`id: ${formatCursor({ epoch, seq: head.seq })}\nevent: ${head.type}\ndata: ${text}\n\n`)
    }
  }, queueMax)
  return {
    backlog,
    begun: () => ticker !== undefined,
    begin (): void {
      reply.hijack()
      raw.writeHead(200, { ...headersOf(reply), ...STREAM_HEADERS })
      raw.write(`retry: ${Math.ceil(RETRY_MS_MIN + Math.random() * (RETRY_MS_MAX - RETRY_MS_MIN))}\n\n`)
      const { expires_at: expiresAt } = identity
      ticker = setInterval(() => {
        const now = Date.now()
        if ((expiresAt !== null && now >= expiresAt) || backlog.behindMs(now) >= behindMax) raw.destroy()
        else raw.write(COMMENT)
      }, Math.min(heartbeatMs, behindMax))
    },
    /** It ends because the gateway stops. */
    askBack (): void {
      raw.write(`retry: ${reconnectAfterMs()}\n\n`)
    },
    tell (why: HeadwayError): void {
      raw.write(`event: error\ndata: ${JSON.stringify(toProblem(toHeadwayError(why)))}\n\n`)
    },
    end (): void {
      backlog.close()
      if (ticker === undefined) return
      clearInterval(ticker)
      raw.end()
      setTimeout(() => raw.destroy(), behindMax).unref() // it may never read the rest
    }
  }
}

/** What hooks have set, CORS among it. */
function headersOf (reply: FastifyReply): Record<string, number | string | string[]> {
  return Object.fromEntries(Object.entries(reply.getHeaders()).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))
}
