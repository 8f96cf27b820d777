// One socket: what it may do, what it watches, and when it ends. It is made before the upgrade, so that an unknown job is an
// HTTP 404, and keeps what it would send until the socket is attached. One clock of the gateway ticks all sessions: pings,
// the time to authenticate and the end of a token need no timer each.

import type { WebSocket } from 'ws'
import { type CLOSE_CODES, HeadwayError } from '../protocol/errors.ts'
import { AUTHENTICATE_MS_MAX, SOCKET_QUEUE_BYTES_MAX } from '../protocol/limits.ts'
import type { AckMessage, ServerMessage } from '../protocol/messages.ts'
import { type Auth, type Identity, requireScope } from './auth.ts'
import type { Hub } from './hub.ts'
import { toHeadwayError } from './problem.ts'
import type { TokenBucket } from './token-bucket.ts'

/** Pings without an answer. */
const MISSED_PINGS_MAX = 2

export type CloseCode = keyof typeof CLOSE_CODES

export interface SessionOptions {
  hub: Hub
  auth: Auth
  bucket: TokenBucket
  ping_interval_ms: number
  subscriptions_max: number
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
  subscribe: (jobId: string, waitMs: number, onJoined?: () => void) => Promise<void>
  /** @returns false when the job was not watched */
  unsubscribe: (jobId: string) => boolean
  /** @throws HeadwayError unauthorized, token_expired, forbidden; the identity stays as it was */
  authenticate: (token: string) => Promise<void>
  send: (message: ServerMessage) => void
  ack: (ack: Omit<AckMessage, 'type'>) => void
  fail: (id: string | null, error: unknown, jobId?: string) => void
  attach: (socket: WebSocket) => void
  /** Sends pings, ends who is silent or no longer allowed. */
  tick: (wallMs: number) => void
  close: (code: CloseCode, reason: string) => void
  /** For a socket that never came to be. Idempotent. */
  dispose: () => void
}

export function createSession (options: SessionOptions): Session {
  const { hub, auth, bucket, ping_interval_ms: pingMs, subscriptions_max: subscriptionsMax, onMessage, onClosed } = options
  const watched = new Map<string, () => void>()
  let identity = options.identity
  let socket: WebSocket | null = null
  let early: string[] = []
  let disposed = false
  let nextPing = 0
  let missedPings = 0
  const authenticateBy = Date.now() + AUTHENTICATE_MS_MAX

  function write (text: string): void {
    if (disposed) return
    if (socket === null) {
      early.push(text)
    } else if (socket.readyState === socket.OPEN) {
      socket.send(text)
      if (socket.bufferedAmount > SOCKET_QUEUE_BYTES_MAX) close(1013, 'The client reads too slowly.')
    }
  }

  function allowed (): Identity {
    if (identity === null) throw new HeadwayError('unauthorized', 'Authenticate first: {"action":"authenticate","token":"…"}.')
    return identity
  }

  async function subscribe (jobId: string, waitMs: number, onJoined = () => {}): Promise<void> {
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
      const leave = hub.join(tenant, jobId, {
        joined: onJoined,
        send (text) {
          write(text)
          watching = true
          resolve()
        },
        ended (why) {
          if (watched.get(jobId) === stop) watched.delete(jobId)
          if (why === null) return
          if (watching) session.fail(null, why, jobId)
          else reject(why)
        }
      }, waitMs)
      const stop = () => {
        leave()
        resolve()
      }
      watched.set(jobId, stop)
      previous?.()
    })
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

  function attach (attached: WebSocket): void {
    socket = attached
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
    for (const text of waiting) write(text)
  }

  function tick (wallMs: number): void {
    if (socket === null || socket.readyState !== socket.OPEN) return
    if (identity === null) {
      if (wallMs >= authenticateBy) close(4408, 'No token came in time.')
    } else if (identity.expires_at !== null && wallMs >= identity.expires_at) {
      close(4401, 'The token has expired; come back with a new one.')
    }
    if (wallMs < nextPing) return
    if (missedPings >= MISSED_PINGS_MAX) return socket.terminate()
    nextPing = wallMs + pingMs
    missedPings++
    socket.ping()
  }

  function close (code: CloseCode, reason: string): void {
    leaveAll()
    socket?.close(code, reason)
  }

  function leaveAll (): void {
    for (const stop of [...watched.values()]) stop()
    watched.clear()
  }

  function dispose (): void {
    disposed = true
    early = []
    leaveAll()
  }

  const session: Session = {
    get identity () { return identity },
    allowed,
    subscribe,
    unsubscribe,
    authenticate,
    send: message => write(JSON.stringify(message)),
    ack: ack => write(JSON.stringify({ type: 'ack', ...ack })),
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
