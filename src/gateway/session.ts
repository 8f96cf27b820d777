// One socket: what it may do, what it watches, and when it ends. It is made before the upgrade, so that an unknown job is an
// HTTP 404, and keeps what it would send until the socket is attached. One clock of the gateway ticks all sessions: pings,
// the time to authenticate and the end of a token need no timer each. A client that reads too slowly costs a bounded amount
// (backlog.ts), and is closed when it stays behind.

import type { WebSocket } from 'ws'
import { type CLOSE_CODES, HeadwayError } from '../protocol/errors.ts'
import { AUTHENTICATE_MS_MAX } from '../protocol/limits.ts'
import type { AckMessage, ServerMessage } from '../protocol/messages.ts'
import { type Auth, type Identity, requireScope } from './auth.ts'
import { createBacklog } from './backlog.ts'
import { type Frame, plainFrame } from './frame.ts'
import type { Hub } from './hub.ts'
import type { Outlet, Post, Wire } from './post.ts'
import { toHeadwayError } from './problem.ts'
import type { JoinOptions } from './room.ts'
import type { TokenBucket } from './token-bucket.ts'

/** Pings without an answer. */
const MISSED_PINGS_MAX = 2
/** Names the tenant's stream among the subscriptions; no job's id is empty. */
const TENANT = ''

export type CloseCode = keyof typeof CLOSE_CODES

export interface SessionOptions {
  hub: Hub
  auth: Auth
  bucket: TokenBucket
  post: Post
  ping_interval_ms: number
  subscriptions_max: number
  queue_bytes_max: number
  behind_ms_max: number
  /** Null = the first message must authenticate. */
  identity: Identity | null
  /** One text message. */
  onMessage: (bytes: Buffer) => void
  onClosed: (code: number) => void
}

export interface Session {
  readonly identity: Identity | null
  /** @throws HeadwayError unauthorized before authentication */
  allowed: () => Identity
  /**
   * Watches a job; the promise settles when its snapshot has been sent.
   * @throws HeadwayError unauthorized, forbidden, unknown_job, too_many_subscriptions, redis_unavailable, closed
   */
  subscribe: (jobId: string, options?: JoinOptions, onJoined?: (resumed: boolean) => void) => Promise<void>
  /**
   * Watches every job of the tenant: state, not log. Again: a fresh list.
   * @throws HeadwayError unauthorized, redis_unavailable, closed
   */
  subscribeTenant: (onJoined?: () => void) => Promise<void>
  unsubscribeTenant: () => void
  /** @returns false when the job was not watched */
  unsubscribe: (jobId: string) => boolean
  /** @throws HeadwayError unauthorized, token_expired, forbidden; the identity stays as it was */
  authenticate: (token: string) => Promise<void>
  send: (message: ServerMessage) => void
  ack: (ack: Omit<AckMessage, 'type'>) => void
  fail: (id: string | null, error: unknown, jobId?: string) => void
  /** @param wire the connection below it, to which frames are written */
  attach: (socket: WebSocket, wire: Wire) => void
  /** Sends pings, ends who is silent or no longer allowed. */
  tick: (wallMs: number) => void
  close: (code: CloseCode, reason: string) => void
  /** For a socket that never came to be. Idempotent. */
  dispose: () => void
}

export function createSession (options: SessionOptions): Session {
  const { hub, auth, bucket, post, ping_interval_ms: pingMs, subscriptions_max: subscriptionsMax, onMessage, onClosed } = options
  let outlet: Outlet | null = null
  const backlog = createBacklog({ queue_bytes_max: options.queue_bytes_max, outlet: () => outlet, write })
  let leaveTenant: (() => void) | null = null
  const watched = new Map<string, () => void>()
  let identity = options.identity
  let socket: WebSocket | null = null
  let early: Frame[] = []
  let disposed = false
  let nextPing = 0
  let missedPings = 0
  const authenticateBy = Date.now() + AUTHENTICATE_MS_MAX

  function write (frame: Frame): void {
    if (disposed) return
    if (outlet === null) early.push(frame)
    else if (socket?.readyState === socket?.OPEN) outlet.push(frame)
  }

  function allowed (): Identity {
    if (identity === null) throw new HeadwayError('unauthorized', 'Authenticate first: {"action":"authenticate","token":"…"}.')
    return identity
  }

  async function subscribe (jobId: string, joining: JoinOptions = {}, onJoined: (resumed: boolean) => void = () => {}): Promise<void> {
    const { tenant_id: tenant } = allowed()
    // It may go while its token is looked at: nobody would leave the room again.
    if (disposed) throw new HeadwayError('closed', 'The socket is gone.')
    // Again for the same job: a fresh snapshot, in place of the subscription that was.
    const previous = watched.get(jobId)
    if (previous === undefined && watched.size >= subscriptionsMax) {
      throw new HeadwayError('too_many_subscriptions', `A socket watches at most ${subscriptionsMax} jobs; open another one.`)
    }
    let watching = false
    await new Promise<void>((resolve, reject) => {
      const place = hub.join(tenant, jobId, {
        joined (resumed) {
          onJoined(resumed)
          watching = true
          resolve()
        },
        send (frame) {
          return backlog.take(jobId, frame, place.resume)
        },
        ended (why) {
          if (watched.get(jobId) === stop) watched.delete(jobId)
          backlog.drop(jobId)
          if (why === null) return
          if (watching) session.fail(null, why, jobId)
          else reject(why)
        }
      }, joining)
      const stop = () => {
        place.leave()
        backlog.drop(jobId)
        resolve()
      }
      watched.set(jobId, stop)
      previous?.()
    })
  }

  async function subscribeTenant (onJoined: () => void = () => {}): Promise<void> {
    const { tenant_id: tenant } = allowed()
    if (disposed) throw new HeadwayError('closed', 'The socket is gone.')
    unsubscribeTenant()
    let watching = false
    await new Promise<void>((resolve, reject) => {
      const leave = hub.joinTenant(tenant, {
        joined () {
          watching = true
          onJoined()
          resolve()
        },
        send (frame) {
          // What it misses while it is behind is in the list that it gets afterwards.
          backlog.take(TENANT, frame, () => { subscribeTenant().catch(error => session.fail(null, error)) })
        },
        ended (why) {
          backlog.drop(TENANT)
          if (watching) session.fail(null, why)
          else reject(why)
        }
      })
      leaveTenant = () => {
        leave()
        resolve()
      }
    })
  }

  function unsubscribeTenant (): void {
    const leave = leaveTenant
    leaveTenant = null
    leave?.()
    backlog.drop(TENANT)
  }

  function unsubscribe (jobId: string): boolean {
    const stop = watched.get(jobId)
    watched.delete(jobId)
    stop?.()
    return stop !== undefined
  }

  async function authenticate (token: string): Promise<void> {
    const next = await auth.verify(token)
    requireScope(next, 'jobs:read')
    if (identity !== null && identity.tenant_id !== next.tenant_id) {
      throw new HeadwayError('forbidden', 'The token belongs to another tenant than this socket; open another one.')
    }
    identity = next
  }

  function attach (attached: WebSocket, wire: Wire): void {
    socket = attached
    outlet = post.outlet(wire)
    nextPing = Date.now() + pingMs
    attached.on('pong', () => { missedPings = 0 })
    attached.on('message', (data: Buffer, isBinary: boolean) => {
      if (attached.readyState !== attached.OPEN) return
      if (!bucket.take()) return close(4429, 'Too many messages; come back slower.')
      if (isBinary) return close(4400, 'Send text, not binary.')
      onMessage(data)
    })
    attached.on('close', (code: number) => {
      dispose()
      onClosed(code)
    })
    const waiting = early
    early = []
    for (const frame of waiting) write(frame)
  }

  function tick (wallMs: number): void {
    if (socket === null || socket.readyState !== socket.OPEN) return
    if (identity === null) {
      if (wallMs >= authenticateBy) close(4408, 'No token came in time.')
    } else if (identity.expires_at !== null && wallMs >= identity.expires_at) {
      close(4401, 'The token has expired; come back with a new one.')
    }
    if (backlog.behindMs(wallMs) >= options.behind_ms_max) {
      close(1013, 'The client reads too slowly.')
      return socket.terminate() // its close frame would wait behind all that is not read
    }
    if (wallMs < nextPing) return
    if (missedPings >= MISSED_PINGS_MAX) return socket.terminate()
    nextPing = wallMs + pingMs
    missedPings++
    socket.ping()
  }

  function close (code: CloseCode, reason: string): void {
    leaveAll()
    outlet?.flush()
    socket?.close(code, reason)
  }

  function leaveAll (): void {
    unsubscribeTenant()
    for (const stop of [...watched.values()]) stop()
    watched.clear()
  }

  function dispose (): void {
    disposed = true
    backlog.close()
    early = []
    leaveAll()
  }

  const session: Session = {
    get identity () { return identity },
    allowed,
    subscribe,
    unsubscribe,
    subscribeTenant,
    unsubscribeTenant,
    authenticate,
    send: message => write(plainFrame(message)),
    ack: ack => write(plainFrame({ type: 'ack', ...ack })),
    fail (id, error, jobId) {
      const { code, message, allowed } = toHeadwayError(error)
      session.send({
        type: 'error',
        id,
        code,
        detail: message,
        ...(jobId === undefined ? {} : { job_id: jobId }),
        ...(code === 'invalid_transition' ? { allowed: [...allowed] } : {})
      })
    },
    attach,
    tick,
    close,
    dispose
  }
  return session
}
