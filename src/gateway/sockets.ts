// The way in of WebSockets, at `/` and `/v1/ws`: what can be refused is refused before the upgrade with an HTTP status, then
// a session takes over. Knows all sessions of this gateway, ticks them, and ends them when it stops.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import websocket from '@fastify/websocket'
import type { Logger } from 'pino'
import type { WebSocket } from 'ws'
import { CLOSE_CODES, HeadwayError } from '../protocol/errors.ts'
import { type SocketQuery, socketQuery } from '../protocol/schema/queries.ts'
import type { Actions } from './actions.ts'
import type { Admission } from './admission.ts'
import { type Auth, bearerOf, requireScope } from './auth.ts'
import { letGo, reconnectAfterMs } from './departure.ts'
import type { Hub } from './hub.ts'
import type { Join } from './join.ts'
import { joinOptions } from './join-options.ts'
import { createPost } from './post.ts'
import type { JoinOptions } from './seats.ts'
import { Session, type SessionOptions } from './session.ts'
import type { GatewaySettings } from './settings.ts'
import { inSlices } from './slices.ts'
import type { Tickets } from './tickets.ts'
import { countOne, type Tally } from './tally.ts'

const PROTOCOL = 'headway.v1'
const TOKEN_PROTOCOL = 'bearer.'
/** How long a peer may take to answer a close frame, ms. */
const CLOSE_MS_MAX = 5_000
const TICK_MS_MAX = 1_000
/** How clients end: done, going away, without a code, cut. */
const CLIENT_CODES: ReadonlySet<number> = new Set([1000, 1001, 1005, 1006])

/** ws's own defaults allow 100 MiB, 16,384 fragments and 262,144 chunks: a few sockets could take the process down. */
const WS_LIMITS = { maxFragments: 32, maxBufferedChunks: 1_024, maxPendingAutoPongs: 8, closeTimeout: CLOSE_MS_MAX }

export interface SocketsOptions {
  hub: Pick<Hub, 'joinTenant'>
  join: Join
  auth: Auth
  tickets: Pick<Tickets, 'redeem'>
  actions: Actions
  admission: Admission
  config: GatewaySettings
  tally: Tally
  log: Logger
}

export interface Sockets {
  /** Routes and the WebSocket server; `page` answers `GET /` without an upgrade. */
  register: (app: FastifyInstance, page: (request: FastifyRequest, reply: FastifyReply) => unknown) => Promise<void>
  start: () => void
  /** Every socket is closed with 1012 and a time to come back, spread over the drain window. */
  stop: () => Promise<void>
}

declare module 'fastify' {
  interface FastifyRequest { session: Session | null }
  interface FastifyContextConfig { socket?: true }
}

export function createSockets (options: SocketsOptions): Sockets {
  const { hub, join, auth, tickets, actions, admission, config, tally, log } = options
  const sessions = new Set<Session>()
  /** Of sockets whose token comes in the first message: what their address asks for. */
  const wanted = new WeakMap<Session, { job_id: string, joining: JoinOptions }>()
  let ticker: NodeJS.Timeout | undefined
  let ticking = false
  let stopping = false

  const shared: SessionOptions = {
    hub,
    join,
    auth,
    post: createPost(tally),
    messages: { per_s: config.messages_per_s, burst: config.messages_burst },
    queue_bytes_max: config.socket_queue_bytes_max,
    behind_ms_max: config.behind_ms_max,
    ping_interval_ms: config.ping_interval_ms,
    subscriptions_max: config.subscriptions_max,
    onMessage: (session, bytes) => actions(session, bytes, subscribeWanted),
    onClosed (session, code) {
      forget(session)
      if (code === null) return
      countOne(tally.closed, code in CLOSE_CODES || CLIENT_CODES.has(code) ? code : 'other')
      log.debug({ event: 'socket_closed', close_code: code, tenant_id: session.identity?.tenant_id }, 'a socket was closed')
    },
    onIdentified: admission.identify,
    onRefused: code => countOne(tally.refused, code)
  }

  function subscribeWanted (session: Session): void {
    const { job_id: jobId, joining } = wanted.get(session) ?? {}
    if (jobId !== undefined) session.subscribe(jobId, joining).catch(error => session.fail(null, error, jobId))
  }

  /** Those that came together are pinged together: ten thousand pings in one go would hold the event loop. */
  function tick (): void {
    if (ticking) return
    ticking = true
    const now = Date.now()
    void inSlices(sessions, session => session.tick(now)).finally(() => { ticking = false })
  }

  function forget (session: Session): void {
    if (sessions.delete(session)) admission.leave('sockets', session.identity?.tenant_id ?? null)
  }

  async function beforeUpgrade (request: FastifyRequest): Promise<void> {
    if (!request.ws) return
    admission.knock(request)
    const query = request.query as SocketQuery
    const { job_id: jobId, wait_ms: waitMs = 0, ticket } = query
    const joining = joinOptions(query)
    const token = ticket === undefined ? tokenOf(request) : null
    const identity = ticket !== undefined
      ? await tickets.redeem(ticket, request.headers.origin)
      : token === null ? null : await auth.verify(token)
    // Who left meanwhile is not announced any more.
    if (request.raw.socket.destroyed) throw new HeadwayError('closed', 'The client is gone.')
    if (identity !== null) requireScope(identity, 'jobs:read')
    admission.enter('sockets', identity?.tenant_id ?? null)
    const session = new Session(shared, identity)
    sessions.add(session)
    request.session = session
    session.expect(request.raw.socket)
    if (jobId === undefined) return
    if (identity === null) return void wanted.set(session, { job_id: jobId, joining })
    const subscribed = session.subscribe(jobId, joining)
    // Waiting happens on the open socket: proxies do not wait a minute for the answer to an upgrade.
    if (waitMs > 0) subscribed.catch(error => session.fail(null, error, jobId))
    else await subscribed.catch(error => { forget(session); throw error })
  }

  function connect (socket: WebSocket, request: FastifyRequest): void {
    const { session, raw: { socket: wire } } = request
    if (session === null) return socket.terminate()
    release(socket, wire)
    socket.on('error', onError)
    session.attach(socket, wire)
    log.debug({ event: 'socket_opened', tenant_id: session.identity?.tenant_id }, 'a socket was opened')
    wire.uncork()
    if (stopping) restart(session)
  }

  /** A broken connection is an everyday thing, and ws has already closed what broke the protocol. */
  function onError (this: WebSocket, error: Error): void {
    log.debug({ event: 'socket_error', err: error }, 'a socket failed')
    if (this.readyState === this.OPEN) this.terminate()
  }

  function restart (session: Session): void {
    session.close(1012, JSON.stringify({ reconnect_after_ms: reconnectAfterMs() }))
  }

  return {
    async register (app, page) {
      app.decorateRequest('session', null)
      await app.register(websocket, {
        options: { maxPayload: config.frame_bytes_max, perMessageDeflate: false, clientTracking: false, handleProtocols, ...WS_LIMITS },
        errorHandler: (error, socket) => onError.call(socket, error),
        preClose: done => done()
      })
      // The answer and the first messages leave together: a write each would cost twice.
      app.websocketServer.on('headers', (_headers, { socket }) => socket.cork())
      // An upgrade elsewhere would be answered by a socket that is closed at once, and logged with its query string.
      app.addHook('onRequest', async request => {
        if (request.ws && request.routeOptions.config.socket !== true) throw new HeadwayError('not_found', 'No WebSocket is served here; use /v1/ws.')
      })
      const shared = { method: 'GET', config: { socket: true }, schema: { querystring: socketQuery }, preHandler: beforeUpgrade, wsHandler: connect } as const
      app.route({ ...shared, url: '/', handler: page })
      app.route({
        ...shared,
        url: '/v1/ws',
        handler: async () => { throw new HeadwayError('upgrade_required', 'This address speaks WebSocket; send Upgrade: websocket.') }
      })
    },
    start () {
      ticker = setInterval(tick, Math.min(TICK_MS_MAX, config.ping_interval_ms / 2))
    },
    async stop () {
      stopping = true
      await letGo(sessions, config.drain_window_ms, restart)
      clearInterval(ticker)
    }
  }
}

/** @throws HeadwayError unauthorized for a malformed Authorization header; null = it comes in the first message */
function tokenOf (request: FastifyRequest): string | null {
  const { token } = request.query as SocketQuery
  if (token !== undefined) return token
  const offered = request.headers['sec-websocket-protocol']?.split(',').map(name => name.trim()) ?? []
  const inProtocol = offered.find(name => name.startsWith(TOKEN_PROTOCOL))
  if (inProtocol !== undefined) return inProtocol.slice(TOKEN_PROTOCOL.length)
  const { authorization } = request.headers
  if (authorization === undefined) return null
  const bearer = bearerOf(authorization)
  if (bearer === null) throw new HeadwayError('unauthorized', 'Send Authorization: Bearer <token>.')
  return bearer
}

/**
 * The plugin's listener of errors and the answer that it gave to the connection would hold request, reply and headers for as long
 * as the socket lives: 5 KB each. Measured; nothing else needs them after the upgrade.
 */
function release (socket: WebSocket, wire: Socket): void {
  socket.removeAllListeners('error')
  const { _httpMessage: answer } = wire as Socket & { _httpMessage?: ServerResponse | null }
  answer?.detachSocket(wire)
}

/** The token stands in a protocol's name and is never sent back. */
function handleProtocols (offered: Set<string>): string | false {
  return offered.has(PROTOCOL) ? PROTOCOL : false
}
