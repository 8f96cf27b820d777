// Watches jobs of one Headway over one socket. Composition: connection (socket), subscriptions (jobs), requests (control).
//
// After every reconnection each watch goes on where it was, or gets a fresh snapshot when it cannot. It ends by itself with
// its job's final event. The socket is opened for the first watch or control call and closed shortly after the last.

import { HeadwayError } from '../protocol/errors.ts'
import type { AckMessage, ErrorMessage, JobMessage, ServerMessage } from '../protocol/messages.ts'
import type { ControlAction } from '../protocol/states.ts'
import { createConnection } from './connection.ts'
import type { ControlResult } from './events.ts'
import { createHttp, HttpError } from './http.ts'
import type { Http } from './http.ts'
import { REAL_CLOCK, REAL_WAKE } from './platform.ts'
import type { Clock, SocketFactory, TokenSource, WakeSource } from './platform.ts'
import { createRefresher } from './refresh.ts'
import { createRequests } from './requests.ts'
import { createStreamSocket } from './stream-socket.ts'
import { createSubscriptions } from './subscriptions.ts'
import type { WatchOptions } from './subscriptions.ts'
import { createTenantSubscription } from './tenant-watch.ts'
import type { TenantWatch } from './tenant-watch.ts'
import type { JobWatch } from './watch.ts'
import type { TenantMessage } from '../protocol/tenant-messages.ts'

export interface ClientOptions {
  /** Address of the gateways, `https://host` or `wss://host`, a path before `/v1` included. */
  url: string
  /** Asked before every connection and every HTTP request, so that it may give a fresh token. */
  getToken: TokenSource
  /** Gets what listeners throw. Default: console.error. */
  onListenerError?: (error: unknown) => void
  /** Replacement, for tests and platforms that lack one; null = none: server-sent events over fetch carry everything. */
  WebSocket?: SocketFactory | null
  fetch?: typeof globalThis.fetch
  clock?: Clock
  random?: () => number
  /** Default: the network is back, or the page visible again. */
  onWake?: WakeSource
}

export interface Client extends Http {
  /** Watches a job until its end. Several calls for a job share one subscription. */
  watch (jobId: string, options?: WatchOptions): JobWatch
  /** Watches the state of every job of the token's tenant, newest first. Several calls share one subscription. */
  watchTenant (): TenantWatch
  /** Resolves with the acknowledged effect. @throws HeadwayError invalid_transition, forbidden, unknown_job, unconfirmed, … */
  control (jobId: string, action: ControlAction, reason?: string): Promise<ControlResult>
  pause (jobId: string, reason?: string): Promise<ControlResult>
  resume (jobId: string, reason?: string): Promise<ControlResult>
  cancel (jobId: string, reason?: string): Promise<ControlResult>
  /** Tells an open socket that getToken has another token now. It is asked anyway before the old one expires. */
  refreshToken (): Promise<void>
  /** Ends everything at once. Idempotent. */
  close (): void
}

/** The socket outlives its last user by this much: pages that change watch again at once. */
const LINGER_MS = 1000
/** A server that gives no answer by HTTP either is simply away. */
const ASK_MS_MAX = 10_000
const STOPPING_STATUS: readonly number[] = [401, 403]

/** @throws TypeError when the URL cannot be read */
export function createClient (options: ClientOptions): Client {
  const { getToken, clock = REAL_CLOCK, random = Math.random, onWake = REAL_WAKE, onListenerError = console.error } = options
  const { fetch = globalThis.fetch.bind(globalThis) } = options
  const { WebSocket: Socket = globalThis.WebSocket as unknown as SocketFactory | undefined } = options
  const base = baseOf(options.url)
  const http = createHttp({ base, getToken, fetch })
  const tag = `c${random().toString(36).slice(2, 10)}`
  let requestCount = 0
  let linger: unknown
  let closed = false

  const connection = createConnection({
    url: new URL('v1/ws', base).href.replace(/^http/, 'ws'),
    getToken,
    Socket: Socket ?? undefined,
    Fallback: createStreamSocket({ base, fetch, clock }),
    clock,
    random,
    onWake,
    ask,
    onOpen (token) {
      refresher.begin(token)
      tenant.subscribe()
      subscriptions.subscribeAll()
      requests.sendAll()
    },
    onMessage: receive,
    onDown () {
      refresher.stop()
      tenant.interrupt()
      subscriptions.interrupt()
      requests.interrupt()
    },
    onRefused (why) {
      refresher.stop()
      tenant.refuse(why)
      subscriptions.refuse(why)
      requests.refuse(why)
    }
  })
  const { send } = connection
  const nextId = (): string => `${tag}-${++requestCount}`
  const requests = createRequests({ send, clock, onEmpty: settleConnection })
  const refresher = createRefresher({ getToken, send, clock })
  const subscribing = { send, isOpen: () => connection.isOpen, nextId, clock, random, report: onListenerError, onChange: settleConnection }
  const subscriptions = createSubscriptions(subscribing)
  const tenant = createTenantSubscription(subscribing)

  /** Opens the connection while somebody needs it, and closes it a little after nobody does. */
  function settleConnection (): void {
    clock.clearTimeout(linger)
    if (closed) return
    if (requests.size > 0 || tenant.active || subscriptions.active() !== undefined) connection.open()
    else linger = clock.setTimeout(disconnect, LINGER_MS)
  }

  function disconnect (): void {
    refresher.stop()
    connection.close()
  }

  function receive (message: ServerMessage): void {
    if (isAnswer(message)) {
      if (!requests.settle(message) && !tenant.answer(message)) subscriptions.answer(message)
    } else if (message.type.startsWith('tenant.')) {
      tenant.receive(message as unknown as TenantMessage)
    } else if ('job_id' in message && 'seq' in message) { // not a pong, nor what this version does not know
      subscriptions.receive(message as JobMessage)
    }
  }

  /** Why was the socket refused? */
  async function ask (): Promise<{ refused: HeadwayError } | { wait_ms: number, reached: boolean }> {
    const watch = subscriptions.active()
    const jobId = watch?.job_id ?? requests.job_id
    const given = new AbortController()
    const timer = clock.setTimeout(() => given.abort(), ASK_MS_MAX)
    try {
      if (jobId === null) await http.listJobs({ limit: 1 }, { signal: given.signal })
      else await http.getJob(jobId, { signal: given.signal })
    } catch (error) {
      if (!(error instanceof HttpError)) return { wait_ms: 0, reached: false }
      if (STOPPING_STATUS.includes(error.status)) return { refused: error }
      if (error.status === 404 && watch !== undefined && watch.wait_ms === 0) {
        watch.refuse(error)
        settleConnection()
      }
      return { wait_ms: error.retry_after_ms ?? 0, reached: error.status < 429 }
    } finally {
      clock.clearTimeout(timer)
    }
    return { wait_ms: 0, reached: true }
  }

  function control (jobId: string, action: ControlAction, reason?: string): Promise<ControlResult> {
    if (closed) return Promise.reject(new HeadwayError('closed', `${action} of job ${jobId}: the client is closed`))
    const result = requests.add({ action, job_id: jobId, id: nextId(), ...(reason === undefined ? {} : { reason }) })
    settleConnection()
    return result
  }

  return {
    ...http,

    watch (jobId, options = {}) {
      if (closed) throw new HeadwayError('closed', `job ${jobId} cannot be watched: the client is closed`)
      return subscriptions.watch(jobId, options)
    },

    watchTenant () {
      if (closed) throw new HeadwayError('closed', 'the tenant cannot be watched: the client is closed')
      return tenant.watch()
    },

    control,
    pause: (jobId, reason) => control(jobId, 'pause', reason),
    resume: (jobId, reason) => control(jobId, 'resume', reason),
    cancel: (jobId, reason) => control(jobId, 'cancel', reason),
    refreshToken: refresher.now,

    close () {
      if (closed) return
      closed = true
      clock.clearTimeout(linger)
      disconnect()
      tenant.close()
      subscriptions.close()
      requests.refuse(new HeadwayError('closed', 'the client was closed'))
    }
  }
}

function isAnswer (message: ServerMessage): message is AckMessage | ErrorMessage {
  return message.type === 'ack' || message.type === 'error'
}

/** The gateways' HTTP address, with a slash at its end. */
function baseOf (url: string): URL {
  const base = new URL(url.replace(/^ws/, 'http'), globalThis.location?.href)
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}
