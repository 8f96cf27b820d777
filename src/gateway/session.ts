// One socket: what it may do, what it watches, and when it ends. It is made before the upgrade, so that an unknown job is an
// HTTP 404, and keeps what it would send until the socket is attached. One clock of the gateway ticks all sessions: pings,
// the time to authenticate and the end of a token need no timer each. A client that reads too slowly costs a bounded amount
// (backlog.ts), and is closed when it stays behind.

import type { WebSocket } from 'ws'
import { type CLOSE_CODES, type ErrorCode, HeadwayError } from '../protocol/errors.ts'
import { AUTHENTICATE_MS_MAX } from '../protocol/limits.ts'
import type { AckMessage, ServerMessage } from '../protocol/messages.ts'
import { type Auth, type Identity, requireScope } from './auth.ts'
import { Backlog } from './backlog.ts'
import { type Frame, plainFrame } from './frame.ts'
import type { Hub } from './hub.ts'
import type { Join } from './join.ts'
import type { Outlet, Post, Wire } from './post.ts'
import { toHeadwayError } from './problem.ts'
import type { JoinOptions } from './seats.ts'
import { TenantWatch, type TenantWatchOwner } from './tenant-watch.ts'
import { TokenBucket, type TokenBucketOptions } from './token-bucket.ts'
import { Watch, type WatchOwner } from './watch.ts'

/** Pings without an answer. */
const MISSED_PINGS_MAX = 2
/** Where a ws and the connection below it keep their session: the listeners are shared by all sockets. */
const OWNER = Symbol('session')

export type CloseCode = keyof typeof CLOSE_CODES

/** What all sessions of a gateway share. */
export interface SessionOptions {
  hub: Pick<Hub, 'joinTenant'>
  join: Join
  auth: Auth
  post: Post
  /** What one socket may say. */
  messages: TokenBucketOptions
  ping_interval_ms: number
  subscriptions_max: number
  queue_bytes_max: number
  behind_ms_max: number
  /** One text message. */
  onMessage: (session: Session, bytes: Buffer) => void
  /** @param code null = the connection went before it became a socket */
  onClosed: (session: Session, code: number | null) => void
  /** A socket without a token has brought one. @throws HeadwayError too_many_requests */
  onIdentified: (tenant: string) => void
  /** An error message was sent. */
  onRefused: (code: ErrorCode) => void
}

export class Session implements WatchOwner, TenantWatchOwner {
  readonly backlog: Backlog
  readonly #shared: SessionOptions
  readonly #bucket: TokenBucket
  readonly #watched = new Map<string, Watch>()
  #tenantWatch: TenantWatch | null = null
  #identity: Identity | null
  #socket: WebSocket | null = null
  #outlet: Outlet | null = null
  /** Frames from before the socket is attached; null afterwards. */
  #early: Frame[] | null = []
  #disposed = false
  #nextPing = 0
  #missedPings = 0
  readonly #authenticateBy = Date.now() + AUTHENTICATE_MS_MAX

  /** @param identity null = the first message must authenticate */
  constructor (shared: SessionOptions, identity: Identity | null) {
    this.#shared = shared
    this.#identity = identity
    this.#bucket = new TokenBucket(shared.messages)
    this.backlog = new Backlog(this, shared.queue_bytes_max)
  }

  get identity (): Identity | null { return this.#identity }

  get outlet (): Outlet | null { return this.#outlet }

  write (frame: Frame): void {
    if (this.#disposed) return
    if (this.#outlet === null) this.#early?.push(frame)
    else if (this.#socket?.readyState === this.#socket?.OPEN) this.#outlet.push(frame)
  }

  /** @throws HeadwayError unauthorized before authentication */
  allowed (): Identity {
    if (this.#identity === null) throw new HeadwayError('unauthorized', 'Authenticate first: {"action":"authenticate","token":"…"}.')
    return this.#identity
  }

  /**
   * Watches a job; the promise settles when its first message has been sent.
   * @throws HeadwayError unauthorized, forbidden, unknown_job, too_many_subscriptions, redis_unavailable, closed
   */
  async subscribe (jobId: string, joining: JoinOptions = {}, onJoined: ((resumed: boolean) => void) | null = null): Promise<void> {
    const identity = this.allowed()
    // It may go while its token is looked at: nobody would leave the room again.
    if (this.#disposed) throw new HeadwayError('closed', 'The socket is gone.')
    // Again for the same job: a fresh snapshot, in place of the subscription that was.
    const previous = this.#watched.get(jobId)
    const { subscriptions_max: most, join } = this.#shared
    if (previous === undefined && this.#watched.size >= most) {
      throw new HeadwayError('too_many_subscriptions', `A socket watches at most ${most} jobs; open another one.`)
    }
    const watch = new Watch(this, jobId, onJoined)
    this.#watched.set(jobId, watch)
    const settled = watch.begin(member => join(identity, jobId, member, joining))
    previous?.stop()
    return settled
  }

  watchEnded (watch: Watch, why: HeadwayError | null): void {
    if (this.#watched.get(watch.job_id) === watch) this.#watched.delete(watch.job_id)
    if (why !== null) this.fail(null, why, watch.job_id)
  }

  /**
   * Watches every job of the tenant: state, not log. Again: a fresh list.
   * @throws HeadwayError unauthorized, redis_unavailable, closed
   */
  async subscribeTenant (onJoined: () => void = () => {}): Promise<void> {
    const { tenant_id: tenant } = this.allowed()
    if (this.#disposed) throw new HeadwayError('closed', 'The socket is gone.')
    this.unsubscribeTenant()
    const watch = this.#tenantWatch = new TenantWatch(this, this.#shared.hub, tenant)
    return watch.begin(onJoined)
  }

  tenantEnded (why: HeadwayError): void {
    this.fail(null, why)
  }

  tenantLost (): void {
    this.#cut('More jobs have ended than are kept for a client that reads too slowly.')
  }

  unsubscribeTenant (): void {
    this.#tenantWatch?.stop()
    this.#tenantWatch = null
  }

  /** @returns false when the job was not watched */
  unsubscribe (jobId: string): boolean {
    const watch = this.#watched.get(jobId)
    this.#watched.delete(jobId)
    watch?.stop()
    return watch !== undefined
  }

  /** @throws HeadwayError unauthorized, token_expired, forbidden, too_many_requests; the identity stays as it was */
  async authenticate (token: string): Promise<void> {
    const next = await this.#shared.auth.verify(token)
    requireScope(next, 'jobs:read')
    if (this.#identity !== null && this.#identity.tenant_id !== next.tenant_id) {
      throw new HeadwayError('forbidden', 'The token belongs to another tenant than this socket; open another one.')
    }
    if (this.#identity === null && !this.#disposed) this.#shared.onIdentified(next.tenant_id)
    this.#identity = next
  }

  send (message: ServerMessage): void {
    this.write(plainFrame(message))
  }

  ack (ack: Omit<AckMessage, 'type'>): void {
    this.send({ type: 'ack', ...ack })
  }

  fail (id: string | null, error: unknown, jobId?: string): void {
    const { code, message, allowed } = toHeadwayError(error)
    this.#shared.onRefused(code)
    this.send({
      type: 'error',
      id,
      code,
      detail: message,
      ...(jobId === undefined ? {} : { job_id: jobId }),
      ...(code === 'invalid_transition' ? { allowed: [...allowed] } : {})
    })
  }

  /** Ends with a connection that goes before it becomes a socket. */
  expect (wire: Wire & NodeJS.EventEmitter): void {
    Object.assign(wire, { [OWNER]: this })
    wire.on('close', onWireClosed)
  }

  /** @param wire the connection below it, to which frames are written */
  attach (socket: WebSocket, wire: Wire & NodeJS.EventEmitter): void {
    wire.off('close', onWireClosed)
    this.#socket = socket
    this.#outlet = this.#shared.post.outlet(wire)
    this.#nextPing = Date.now() + this.#shared.ping_interval_ms
    Object.assign(socket, { [OWNER]: this })
    socket.on('pong', onPong)
    socket.on('message', onMessage)
    socket.on('close', onClosed)
    for (const frame of this.#early ?? []) this.write(frame)
    this.#early = null
    this.#outlet.flush()
  }

  answered (): void {
    this.#missedPings = 0
  }

  received (data: Buffer, isBinary: boolean): void {
    if (this.#socket?.readyState !== this.#socket?.OPEN) return
    if (!this.#bucket.take()) return this.close(4429, 'Too many messages; come back slower.')
    if (isBinary) return this.close(4400, 'Send text, not binary.')
    this.#shared.onMessage(this, data)
  }

  /** @param code of the close frame, 1006 = there was none; null = it never became a socket */
  left (code: number | null): void {
    this.#disposed = true
    this.backlog.close()
    this.#early = null
    this.#leaveAll()
    this.#shared.onClosed(this, code)
  }

  /** Sends pings, ends who is silent or no longer allowed. */
  tick (wallMs: number): void {
    const socket = this.#socket
    if (socket === null || socket.readyState !== socket.OPEN) return
    const identity = this.#identity
    if (identity === null) {
      if (wallMs >= this.#authenticateBy) this.close(4408, 'No token came in time.')
    } else if (identity.expires_at !== null && wallMs >= identity.expires_at) {
      this.close(4401, 'The token has expired; come back with a new one.')
    }
    if (this.backlog.behindMs(wallMs) >= this.#shared.behind_ms_max) {
      return this.#cut('The client reads too slowly.')
    }
    if (wallMs < this.#nextPing) return
    if (this.#missedPings >= MISSED_PINGS_MAX) return socket.terminate()
    this.#nextPing = wallMs + this.#shared.ping_interval_ms
    this.#missedPings++
    socket.ping()
  }

  close (code: CloseCode, reason: string): void {
    this.#leaveAll()
    this.#outlet?.flush()
    this.#socket?.close(code, reason)
  }

  /** Its close frame waits behind all that is not read, so it mostly sees a cut line. */
  #cut (reason: string): void {
    this.close(1013, reason)
    this.#socket?.terminate()
  }

  #leaveAll (): void {
    this.unsubscribeTenant()
    for (const watch of [...this.#watched.values()]) watch.stop()
    this.#watched.clear()
  }
}

type Owned = object & { [OWNER]?: Session }

function onWireClosed (this: Owned): void {
  this[OWNER]?.left(null)
}

function onPong (this: Owned): void {
  this[OWNER]?.answered()
}

function onMessage (this: Owned, data: Buffer, isBinary: boolean): void {
  this[OWNER]?.received(data, isBinary)
}

function onClosed (this: Owned, code: number): void {
  this[OWNER]?.left(code)
}
