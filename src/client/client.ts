// Watches jobs of one Headway over one socket. Composition: connection (socket), watches (jobs), requests (control).
//
// After every (re)connection each watch subscribes anew and gets a fresh snapshot. A watch ends by itself with its job's
// final event. The socket is opened for the first watch or control call and closed shortly after the last.

import { ERRORS, HeadwayError, isErrorCode } from '../protocol/errors.ts'
import type { AckMessage, ErrorMessage, JobMessage, ServerMessage } from '../protocol/messages.ts'
import type { ControlAction } from '../protocol/states.ts'
import { createBackoff } from './backoff.ts'
import { createConnection } from './connection.ts'
import type { ControlResult } from './events.ts'
import { createHttp, HttpError } from './http.ts'
import type { Http } from './http.ts'
import { REAL_CLOCK } from './platform.ts'
import type { Clock, SocketFactory, TokenSource } from './platform.ts'
import { createRequests, toError } from './requests.ts'
import { createHandle, createWatch } from './watch.ts'
import type { JobWatch, Watch } from './watch.ts'

export interface ClientOptions {
  /** Address of the gateways, `https://host` or `wss://host`, a path before `/v1` included. */
  url: string
  /** Asked before every connection and every HTTP request, so that it may give a fresh token. */
  getToken: TokenSource
  /** Gets what listeners throw. Default: console.error. */
  onListenerError?: (error: unknown) => void
  /** Replacements, for tests and platforms that lack one. */
  WebSocket?: SocketFactory
  fetch?: typeof globalThis.fetch
  clock?: Clock
  random?: () => number
}

export interface Client extends Http {
  /**
   * Watches a job until its end. Several calls for a job share one subscription.
   * @param options.wait_ms how long a job that is not registered yet is waited for, at most 60,000; default 0
   */
  watch (jobId: string, options?: { wait_ms?: number }): JobWatch
  /** Each resolves with the effect. @throws HeadwayError invalid_transition, forbidden, unknown_job, unconfirmed, … */
  pause (jobId: string, reason?: string): Promise<ControlResult>
  resume (jobId: string, reason?: string): Promise<ControlResult>
  cancel (jobId: string, reason?: string): Promise<ControlResult>
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
  const { getToken, clock = REAL_CLOCK, random = Math.random, onListenerError = console.error } = options
  const { fetch = globalThis.fetch.bind(globalThis), WebSocket: Socket = globalThis.WebSocket as unknown as SocketFactory } = options
  const base = baseOf(options.url)
  const http = createHttp({ base, getToken, fetch })
  const watches = new Map<string, { watch: Watch, handles: number }>()
  const gaps = createBackoff({ random })
  const tag = `c${random().toString(36).slice(2, 10)}`
  let requestCount = 0
  let linger: unknown
  let closed = false

  const connection = createConnection({
    url: new URL('v1/ws', base).href.replace(/^http/, 'ws'),
    getToken,
    Socket,
    clock,
    random,
    ask,
    onOpen () {
      for (const { watch } of watches.values()) subscribe(watch)
      requests.sendAll()
    },
    onMessage: receive,
    onDown () {
      for (const { watch } of watches.values()) interrupt(watch)
      requests.interrupt()
    },
    onRefused (why) {
      for (const { watch } of watches.values()) watch.refuse(why)
      requests.refuse(why)
    }
  })
  const requests = createRequests({ send: connection.send, clock, onEmpty: settleConnection })

  const nextId = (): string => `${tag}-${++requestCount}`

  /** Opens the connection while somebody needs it, and closes it a little after nobody does. */
  function settleConnection (): void {
    clock.clearTimeout(linger)
    if (closed) return
    const wanted = requests.size > 0 || [...watches.values()].some(({ watch }) => watch.active)
    if (wanted) connection.open()
    else linger = clock.setTimeout(() => connection.close(), LINGER_MS)
  }

  function subscribe (watch: Watch): void {
    if (!watch.active) return
    watch.synced = false
    watch.request = nextId()
    const { job_id: jobId, wait_ms: waitMs } = watch
    connection.send({ action: 'subscribe', job_id: jobId, id: watch.request, ...(waitMs > 0 ? { wait_ms: waitMs } : {}) })
  }

  function unsubscribe (watch: Watch): void {
    clock.clearTimeout(watch.retry)
    watch.request = null
    connection.send({ action: 'unsubscribe', job_id: watch.job_id })
  }

  function interrupt (watch: Watch): void {
    clock.clearTimeout(watch.retry)
    watch.interrupt()
  }

  /** The position is lost or the server could not: again, a little later. */
  function subscribeLater (watch: Watch): void {
    interrupt(watch)
    unsubscribe(watch)
    watch.retry = clock.setTimeout(() => { if (connection.isOpen) subscribe(watch) }, gaps.next())
  }

  function receive (message: ServerMessage): void {
    if (isAnswer(message)) return answer(message)
    if (!('job_id' in message) || !('seq' in message)) return // pong, and what this version does not know
    const watch = watches.get(message.job_id)?.watch
    if (watch === undefined) return
    const verdict = watch.receive(message as JobMessage)
    if (verdict === 'gap') {
      subscribeLater(watch)
    } else if (verdict === 'ended') {
      unsubscribe(watch)
      settleConnection()
    } else if (verdict === 'applied' && message.type === 'job.snapshot') {
      gaps.reset()
    }
  }

  /** An error that answers no request is about the subscription of its job. */
  function answer (message: AckMessage | ErrorMessage): void {
    if (requests.settle(message) || message.type === 'ack' || message.job_id === undefined) return
    const watch = watches.get(message.job_id)?.watch
    if (watch === undefined || !watch.active || (message.id !== null && message.id !== watch.request)) return
    if (isErrorCode(message.code) && ERRORS[message.code].temporary) return subscribeLater(watch)
    watch.refuse(toError(message))
    settleConnection()
  }

  /** Why was the socket refused? */
  async function ask (): Promise<{ refused: HeadwayError } | { wait_ms: number }> {
    const watch = [...watches.values()].map(({ watch }) => watch).find(({ active }) => active)
    const jobId = watch?.job_id ?? requests.job_id
    if (jobId === null) return { wait_ms: 0 }
    const given = new AbortController()
    const timer = clock.setTimeout(() => given.abort(), ASK_MS_MAX)
    try {
      await http.getJob(jobId, { signal: given.signal })
    } catch (error) {
      if (!(error instanceof HttpError)) return { wait_ms: 0 }
      if (STOPPING_STATUS.includes(error.status)) return { refused: error }
      if (error.status === 404 && watch !== undefined && watch.wait_ms === 0) {
        watch.refuse(error)
        settleConnection()
      }
      return { wait_ms: error.retry_after_ms ?? 0 }
    } finally {
      clock.clearTimeout(timer)
    }
    return { wait_ms: 0 }
  }

  function control (action: ControlAction, jobId: string, reason: string | undefined): Promise<ControlResult> {
    if (closed) return Promise.reject(new HeadwayError('closed', `${action} of job ${jobId}: the client is closed`))
    const result = requests.add({ action, job_id: jobId, id: nextId(), ...(reason === undefined ? {} : { reason }) })
    settleConnection()
    return result
  }

  /** A watch that has ended is not shared: watching again begins anew. */
  function entryOf (jobId: string, waitMs: number): { watch: Watch, handles: number } {
    const known = watches.get(jobId)
    if (known?.watch.active) return known
    const entry = { watch: createWatch(jobId, waitMs, onListenerError), handles: 0 }
    watches.set(jobId, entry)
    if (connection.isOpen) subscribe(entry.watch)
    return entry
  }

  return {
    ...http,

    watch (jobId, { wait_ms: waitMs = 0 } = {}) {
      if (closed) throw new HeadwayError('closed', `job ${jobId} cannot be watched: the client is closed`)
      const entry = entryOf(jobId, waitMs)
      entry.handles++
      settleConnection()
      return createHandle(entry.watch, () => {
        if (--entry.handles > 0) return
        if (entry.watch.active) unsubscribe(entry.watch)
        entry.watch.close()
        if (watches.get(jobId) === entry) watches.delete(jobId)
        settleConnection()
      })
    },

    pause: (jobId, reason) => control('pause', jobId, reason),
    resume: (jobId, reason) => control('resume', jobId, reason),
    cancel: (jobId, reason) => control('cancel', jobId, reason),

    close () {
      if (closed) return
      closed = true
      clock.clearTimeout(linger)
      connection.close()
      for (const { watch } of watches.values()) {
        clock.clearTimeout(watch.retry)
        watch.close()
      }
      watches.clear()
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
