// One answer that stays open: server-sent events, for clients that cannot open a socket. A slow reader is behind and catches up,
// like a slow socket (backlog.ts); one that stays behind is cut. What is watched, and how a frame becomes an event, its route says.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { HeadwayError } from '../protocol/errors.ts'
import type { Admission } from './admission.ts'
import { type Auth, bearerOf, type Identity, requireScope } from './auth.ts'
import { Backlog } from './backlog.ts'
import { reconnectAfterMs } from './departure.ts'
import type { Frame } from './frame.ts'
import { toHeadwayError, toProblem } from './problem.ts'
import type { Streams } from './streams.ts'
import type { Tickets } from './tickets.ts'

export interface EventStreamOptions {
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

export interface EventStream {
  readonly backlog: Backlog
  /** The first event follows. Idempotent. */
  begin: () => void
  /** Instead: there is nothing to tell, and a browser need not come back. */
  nothing: () => void
  /** What is watched has ended, or cannot be watched: a problem when nothing was said yet, else a last event. Null = as it should. */
  ended: (why: HeadwayError | null) => void
  /** The last event was said. */
  close: () => void
  /** It reads too slowly for what may not be dropped. */
  cut: () => void
}

export interface Watched {
  /** The event's text; null = it is none. */
  blockOf: (frame: Frame) => string | null
  /** @returns leave */
  follow: (stream: EventStream) => () => void
}

/** How long a browser waits before it comes back after a cut line, ms: each is told another time, so that they do not come together. */
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 3_000
const COMMENT = ': alive\n\n'
/** The last is for nginx, which else collects before it passes on. */
const STREAM_HEADERS = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }

/**
 * A browser's EventSource sets no headers: it has its token or a ticket in the address.
 * @throws HeadwayError unauthorized, token_expired, forbidden, overloaded
 */
export async function admitReader (
  { headers }: FastifyRequest, query: { token?: string, ticket?: string }, { auth, tickets }: EventStreamOptions
): Promise<Identity> {
  const { ticket, token = bearerOf(headers.authorization) ?? undefined } = query
  if (token === undefined && ticket === undefined) throw new HeadwayError('unauthorized', 'Send Authorization: Bearer <token>, ?ticket= or ?token=.')
  const identity = ticket === undefined ? await auth.verify(token ?? '') : await tickets.redeem(ticket, headers.origin)
  requireScope(identity, 'jobs:read')
  return identity
}

/** @returns when it is over; rejects with why it could not begin */
export async function streamEvents (
  request: FastifyRequest, reply: FastifyReply, identity: Identity, options: EventStreamOptions, { blockOf, follow }: Watched
): Promise<void> {
  const { streams, admission } = options
  const { tenant_id: tenant } = identity
  admission.enter('streams', tenant)
  const writer = createWriter(reply, identity, options, blockOf)
  await new Promise<void>((resolve, reject) => {
    let over = false
    const unfollow = follow({
      backlog: writer.backlog,
      begin () {
        if (!writer.begun()) writer.begin()
        resolve()
      },
      nothing () {
        void reply.code(204).send()
        resolve()
      },
      ended (why) {
        if (!writer.begun()) reject(why ?? new HeadwayError('unknown_job', 'The job is not there any more.'))
        else if (why !== null) writer.tell(why)
        end()
      },
      close: () => { setImmediate(end) },
      cut: () => { reply.raw.destroy() }
    })
    const leave = streams.add(() => {
      if (writer.begun()) writer.askBack()
      end()
    })
    function end (): void {
      if (over) return
      over = true
      leave()
      admission.leave('streams', tenant)
      unfollow()
      writer.end()
      if (writer.begun() || reply.sent || reply.raw.destroyed) resolve()
      else reject(new HeadwayError('not_ready', 'This gateway is stopping; another one will answer.'))
    }
    reply.raw.once('close', end)
    // Who left while the token was looked at is not announced any more.
    if (reply.raw.destroyed || request.raw.socket.destroyed) end()
  })
}

function createWriter (reply: FastifyReply, identity: Identity, options: EventStreamOptions, blockOf: Watched['blockOf']) {
  const { heartbeat_ms: heartbeatMs, queue_bytes_max: queueMax, behind_ms_max: behindMax } = options
  const { raw } = reply
  let ticker: NodeJS.Timeout | undefined
  const backlog = new Backlog({
    outlet: {
      queued: () => raw.writableLength,
      flush: done => { if (done !== undefined) raw.write(COMMENT, () => done()) }
    },
    write (frame: Frame) {
      const block = blockOf(frame)
      if (block !== null) raw.write(block)
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
