// The way over HTTP, for workers that cannot reach Redis: batches to POST /v1/events of any gateway.
//
// One request of a tenant at a time keeps the order. A request without an answer is sent again with the same key until there
// is one, so it has its effect once. What a job refuses rejects its own call here, where Redis would keep a dead letter.
//
// Bound: at most `buffer_bytes_max` bytes of events wait, twice over; beyond that an event is refused as `overloaded`.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../engine/connections.ts'
import { HeadwayError } from '../protocol/errors.ts'
import { EVENTS_PER_POST_MAX } from '../protocol/limits.ts'
import type { JobView } from '../protocol/messages.ts'
import { packEvent } from '../protocol/pack.ts'
import { createDeferred } from '../protocol/ponyfills.ts'
import type { Deferred } from '../protocol/ponyfills.ts'
import type { WorkerEvent } from '../protocol/worker-events.ts'
import { endSpan, headersOf, originOf, SpanKind, startSpan } from '../tracing/trace.ts'
import { baseOf, errorOf, refusalOf } from './http-answers.ts'
import type { Refusal } from './http-answers.ts'
import { createHttpWatches } from './http-watches.ts'
import type { JobControl, Transport } from './transport.ts'

/** Asked before every request, so that it may give a fresh one. */
export type WorkerToken = string | ((tenant: string) => string | Promise<string>)

export interface HttpTransportParams {
  /** Address of the gateways, a path before `/v1` included. */
  gateway_url: string
  /** Scopes `jobs:write`, and `jobs:read` for what users want. Absent = none is sent. */
  token?: WorkerToken | undefined
  /** How long the first event of a batch waits for others, ms. Default 5. */
  window_ms?: number | undefined
  /** Default 8 MiB. */
  buffer_bytes_max?: number | undefined
  log: Log
}

interface Waiting {
  event: WorkerEvent
  bytes: number
  stored: Deferred<void>
}

interface Lane { tenant: string, waiting: Waiting[], timer: NodeJS.Timeout | undefined, sending: boolean, newest: Promise<void> }

interface RequestParts { method: string, body?: string, headers?: Record<string, string> }

interface Answer { rejected: Refusal[], jobs?: Record<string, JobControl> }

/** Half of what a gateway takes by default: its tenants may have set less. */
const BODY_BYTES_MAX = 524_288
const REQUEST_MS_MAX = 15_000
const RETRY_MS = { min: 100, max: 5000 }
/** Jobs watched at once: each is a connection. */
const WATCHES_MAX = 100

/** @throws HeadwayError invalid_field when the URL cannot be read */
export function createHttpTransport (params: HttpTransportParams): Transport {
  const { token, window_ms: windowMs = 5, buffer_bytes_max: bytesMax = 8 * 1024 * 1024, log } = params
  const base = baseOf(params.gateway_url)
  const lanes = new Map<string, Lane>()
  const closing = new AbortController()
  const watches = createHttpWatches({ base, request, authorization, log })
  let bytesWaiting = 0
  let lastTrouble = ''

  async function authorization (tenant: string): Promise<Record<string, string>> {
    const bearer = typeof token === 'function' ? await token(tenant) : token
    return bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
  }

  async function request (tenant: string, path: string, init: RequestParts): Promise<Response> {
    return await fetch(new URL(path, base), {
      ...init,
      headers: { accept: 'application/json', ...await authorization(tenant), ...init.headers },
      signal: AbortSignal.any([closing.signal, AbortSignal.timeout(REQUEST_MS_MAX)])
    })
  }

  function laneOf (tenant: string): Lane {
    let lane = lanes.get(tenant)
    if (lane === undefined) lanes.set(tenant, lane = { tenant, waiting: [], timer: undefined, sending: false, newest: Promise.resolve() })
    return lane
  }

  async function pump (lane: Lane): Promise<void> {
    clearTimeout(lane.timer)
    lane.timer = undefined
    if (lane.sending) return
    lane.sending = true
    while (lane.waiting.length > 0 && !closing.signal.aborted) {
      let bytes = 0
      const fits = lane.waiting.findIndex((one, i) => i === EVENTS_PER_POST_MAX || (i > 0 && (bytes += one.bytes) > BODY_BYTES_MAX))
      await deliver(lane, lane.waiting.splice(0, fits < 0 ? lane.waiting.length : fits))
    }
    lane.sending = false
    if (lane.waiting.length === 0) lanes.delete(lane.tenant)
  }

  /** Every call of the batch is settled at the end. */
  async function deliver (lane: Lane, batch: Waiting[]): Promise<void> {
    let left = batch
    const attributes = { 'headway.events': batch.length }
    const span = startSpan('headway.send', { kind: SpanKind.CLIENT, attributes, parent: originOf(batch[0]?.event.cid) })
    const traced = headersOf(span)
    try {
      while (left.length > 0) {
        const { rejected, jobs = {} } = await post(lane.tenant, left, traced)
        for (const [job, control] of Object.entries(jobs)) watches.hint(lane.tenant, job, control)
        const refusals = new Map(rejected.map(one => [one.index, one]))
        const again: Waiting[] = []
        for (const [index, one] of left.entries()) {
          const refusal = refusals.get(index)
          if (refusal?.code === 'redis_unavailable') again.push(one)
          else settle(one, refusal === undefined ? null : refusalOf(refusal))
        }
        left = again
        if (left.length > 0) await delay(RETRY_MS.min, undefined, { signal: closing.signal })
      }
      endSpan(span)
    } catch (error) {
      for (const one of left) settle(one, error)
      endSpan(span, {}, error)
    }
  }

  function settle (one: Waiting, error: unknown): void {
    bytesWaiting -= one.bytes
    if (error === null) one.stored.resolve()
    else one.stored.reject(closing.signal.aborted ? givenUp(one.event) : error)
  }

  /** Sent until it is answered. @throws HeadwayError when a repeat would be refused too */
  async function post (tenant: string, batch: Waiting[], traced: Record<string, string>): Promise<Answer> {
    const body = JSON.stringify(batch.map(({ event: { tenant: _, ...event } }) => event))
    const headers = { ...traced, 'content-type': 'application/json', 'idempotency-key': randomUUID() }
    for (let tries = 0; ; tries++) {
      let waitMs = Math.random() * Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** Math.min(tries, 10))
      try {
        const response = await request(tenant, 'v1/events', { method: 'POST', body, headers })
        if (response.ok) return await response.json() as Answer
        const error = errorOf(response.url, response.status, await response.text())
        const stale = error.code === 'token_expired' && typeof token === 'function'
        if (!error.temporary && !stale) throw error
        waitMs = Math.max(waitMs, Number(response.headers.get('retry-after') ?? 0) * 1000)
        onTrouble(error)
      } catch (error) {
        if (closing.signal.aborted || (error instanceof HeadwayError && !error.temporary)) throw error
        onTrouble(error as Error)
      }
      await delay(waitMs, undefined, { signal: closing.signal })
    }
  }

  function onTrouble (error: Error): void {
    const message = error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
    if (message === lastTrouble) return
    lastTrouble = message
    log.warn({ event: 'send_failed', err: error }, `not stored by ${base.host} yet, tried again: ${message}`)
  }

  return {
    async send (event) {
      if (closing.signal.aborted) throw givenUp(event)
      packEvent(event) // for what it throws: a bad event is refused where it was made
      const bytes = Buffer.byteLength(JSON.stringify(event))
      if (bytesWaiting + bytes > bytesMax * 2) {
        throw new HeadwayError('overloaded', `${event.type} of job ${event.job} was not taken: ${bytesWaiting} bytes wait for ${base.host}; await the calls`)
      }
      bytesWaiting += bytes
      const stored = unwatched()
      const lane = laneOf(event.tenant)
      lane.newest = stored.promise
      // The event as it is now: its caller may go on changing the object.
      lane.waiting.push({ event: structuredClone(event), bytes, stored })
      if (lane.waiting.length >= EVENTS_PER_POST_MAX) void pump(lane)
      else if (!lane.sending) lane.timer ??= setTimeout(() => { void pump(lane) }, windowMs)
      return await stored.promise
    },

    async control (tenant, job) {
      let response: Response
      try {
        response = await request(tenant, `v1/jobs/${encodeURIComponent(job)}`, { method: 'GET' })
      } catch (cause) {
        throw new HeadwayError('redis_unavailable', `control of job ${job} could not be read from ${base.host}; ask again`, { cause })
      }
      if (response.status === 404) return { state: null, request_id: null }
      if (!response.ok) throw errorOf(response.url, response.status, await response.text())
      const { state, control } = await response.json() as JobView
      return { state, request_id: control.request_id }
    },

    watch: watches.watch,
    watches_max: WATCHES_MAX,

    async flush () {
      const those = Array.from(lanes.values())
      for (const lane of those) void pump(lane)
      await Promise.allSettled(those.map(({ newest }) => newest))
    },

    async close () {
      closing.abort()
      watches.close()
      for (const lane of lanes.values()) {
        clearTimeout(lane.timer)
        for (const one of lane.waiting.splice(0)) settle(one, givenUp(one.event))
      }
    }
  }
}

/** A promise whose rejection nobody has to look at: a caller that does not await must not end the process. */
function unwatched (): Deferred<void> {
  const deferred = createDeferred()
  deferred.promise.catch(() => {})
  return deferred
}

function givenUp ({ type, job }: WorkerEvent): HeadwayError {
  return new HeadwayError('closed', `${type} of job ${job} was given up: the monitor was closed before a gateway took it`)
}
