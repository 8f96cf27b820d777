// Server-sent events: the same room, order and cursor as on a socket, for clients that cannot open one. `id:` is the cursor, which
// browsers send back as Last-Event-ID. A reader that stays behind is cut: it resumes by itself.

import type { FastifyInstance } from 'fastify'
import { formatCursor, parseCursor } from '../../protocol/cursor.ts'
import { HeadwayError } from '../../protocol/errors.ts'
import { eventsQuery, jobParams, type EventsQuery, type JobParams } from '../../protocol/schema/queries.ts'
import { type Auth, bearerOf, requireScope } from '../auth.ts'
import type { Frame } from '../frame.ts'
import type { Hub } from '../hub.ts'
import { joinOptions } from '../join-options.ts'
import { toHeadwayError, toProblem } from '../problem.ts'

export interface EventsRouteOptions {
  hub: Hub
  auth: Auth
  /** Between two comments that keep the line open, ms. */
  heartbeat_ms: number
  /** Bytes that one reader may leave unread. */
  queue_bytes_max: number
}

/** How long a browser waits before it comes back, ms. */
const RETRY_MS = 1_000
/** The last is for nginx, which else collects before it passes on. */
const STREAM_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
const ENDS = ['job.completed', 'job.canceled', 'job.failed']

export interface EventsRoute {
  /** Ends every stream. */
  stop: () => void
}

export function registerEventsRoute (app: FastifyInstance, options: EventsRouteOptions): EventsRoute {
  const { hub, auth, heartbeat_ms: heartbeatMs, queue_bytes_max: queueMax } = options
  const streams = new Set<() => void>()
  const schema = { params: jobParams, querystring: eventsQuery }

  app.get<{ Params: JobParams, Querystring: EventsQuery }>('/v1/jobs/:id/events', { config: { stream: true }, schema }, async (request, reply) => {
    const { token: inQuery, since = request.headers['last-event-id']?.toString(), wait_ms: waitMs, min_interval_ms: intervalMs } = request.query
    const token = inQuery ?? bearerOf(request.headers.authorization)
    if (token === null) throw new HeadwayError('unauthorized', 'Send Authorization: Bearer <token>, or ?token=.')
    const identity = await auth.verify(token)
    requireScope(identity, 'jobs:read')
    if (since !== undefined && parseCursor(since) === null) {
      throw new HeadwayError('invalid_cursor', `${JSON.stringify(since.slice(0, 64))} is no cursor; send the id of the last event.`)
    }
    const { raw } = reply
    let epoch = since === undefined ? 0 : parseCursor(since)!.epoch
    let ticker: NodeJS.Timeout | undefined
    let begun = false

    function begin (): void {
      begun = true
      reply.hijack()
      raw.writeHead(200, { ...headersOf(reply.getHeaders()), ...STREAM_HEADERS })
      raw.write(`retry: ${RETRY_MS}\n\n`)
      const ends = identity.expires_at
      ticker = setInterval(() => {
        if (ends !== null && Date.now() >= ends) end()
        else raw.write(': alive\n\n')
      }, heartbeatMs)
    }
    function end (): void {
      clearInterval(ticker)
      streams.delete(end)
      place.leave()
      raw.end()
    }
    function write ({ text }: Frame): boolean {
      if (raw.writableLength > queueMax) {
        setImmediate(() => raw.destroy())
        return false
      }
      const { type, seq, data } = JSON.parse(text) as { type: string, seq: number, data: { epoch?: number } }
      if (type === 'job.snapshot') epoch = data.epoch ?? epoch
      raw.write(`id: ${formatCursor({ epoch, seq })}\nevent: ${type}\ndata: ${text}\n\n`)
      if (ENDS.includes(type)) setImmediate(end)
      return true
    }

    const joining = joinOptions({ ...since === undefined ? {} : { since }, wait_ms: waitMs ?? 0, min_interval_ms: intervalMs ?? 0 })
    let settle: { resolve: () => void, reject: (why: Error) => void }
    const joined = new Promise<void>((resolve, reject) => { settle = { resolve, reject } })
    const place = hub.join(identity.tenant_id, request.params.id, {
      joined () {
        begin()
        settle.resolve()
      },
      send: write,
      ended (why) {
        if (!begun) return settle.reject(why ?? new HeadwayError('unknown_job', 'The job is not there any more.'))
        if (why !== null) raw.write(`event: error\ndata: ${JSON.stringify(toProblem(toHeadwayError(why)))}\n\n`)
        end()
      }
    }, joining)
    streams.add(end)
    raw.on('close', end)
    await joined.catch(error => {
      streams.delete(end)
      throw error
    })
    return reply
  })

  return { stop () { for (const end of [...streams]) end() } }
}

type Header = number | string | string[]

/** What hooks have set, CORS among it. */
function headersOf (headers: Record<string, Header | undefined>): Record<string, Header> {
  return Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, Header] => entry[1] !== undefined))
}
