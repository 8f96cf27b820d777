// For networks that let no WebSocket through: the same messages over plain HTTP. It looks like a socket to the rest of the
// client: a subscription, of a job or of the tenant, becomes a stream of server-sent events read by fetch, control calls are POSTs.
// A stream that is cut ends the "socket", and everything resumes by its cursor; the tenant's, which has none, by a new list.
//
// Browsers open six connections to a host over HTTP/1.1 and would keep the seventh request waiting for ever, control calls
// among them. So a few streams run at a time; when there are more, they take turns, which loses nothing.

import type { AckMessage, ClientMessage, ErrorMessage } from '../protocol/messages.ts'
import { createEventParser } from '../protocol/event-stream.ts'
import type { Clock, SocketFactory, SocketLike } from './platform.ts'

type Subscribe = Extract<ClientMessage, { action: 'subscribe' }>
/** Without a job: the tenant. */
type Asked = Partial<Omit<Subscribe, 'action'>>
type Control = Extract<ClientMessage, { reason?: string }>

interface Stream {
  asked: Asked
  /** Cursor of the last event, to go on from. */
  since: string | undefined
  acknowledged: boolean
  /** Null while it waits for its turn. */
  given: AbortController | null
}

const STREAMS_MAX = 4
const TURN_MS = 5_000
/** Streams say something every 25 s. */
const SILENCE_MS_MAX = 80_000
/** Between two lists of a gateway without the tenant's stream. */
const LIST_MS = 5_000
const LIST_JOBS = 200
/** Its place among the streams; no job's id is empty. */
const TENANT = ''

export function createStreamSocket ({ base, fetch, clock }: { base: URL, fetch: typeof globalThis.fetch, clock: Clock }): SocketFactory {
  return class StreamSocket implements SocketLike {
    onopen: SocketLike['onopen'] = null
    onmessage: SocketLike['onmessage'] = null
    onclose: SocketLike['onclose'] = null
    onerror: SocketLike['onerror'] = null
    #token: string
    /** In the order of their turns. */
    #streams = new Map<string, Stream>()
    #over = new AbortController()
    #turn: unknown

    constructor (_url: string, protocols: string[]) {
      this.#token = (protocols[1] ?? '').slice('bearer.'.length)
      queueMicrotask(() => this.onopen?.())
    }

    send (text: string): void {
      const message = JSON.parse(text) as ClientMessage
      switch (message.action) {
        case 'subscribe':
          return this.#add(message.job_id, message)
        case 'unsubscribe':
          this.#drop(message.job_id)
          return this.#fill()
        case 'subscribe_tenant':
          return this.#add(TENANT, message)
        case 'unsubscribe_tenant':
          this.#drop(TENANT)
          return this.#fill()
        case 'authenticate':
          this.#token = message.token
          return
        case 'ping':
          return this.#renew()
        default:
          return void this.#control(message)
      }
    }

    close (): void {
      this.#over.abort()
      clock.clearTimeout(this.#turn)
      for (const jobId of [...this.#streams.keys()]) this.#drop(jobId)
    }

    #end (code: number, reason = ''): void {
      if (this.#over.signal.aborted) return
      this.close()
      this.onclose?.({ code, reason })
    }

    #say (message: AckMessage | ErrorMessage | object): void {
      this.onmessage?.({ data: JSON.stringify(message) })
    }

    #add (key: string, asked: Asked): void {
      this.#drop(key)
      this.#streams.set(key, { asked, since: asked.since, acknowledged: false, given: null })
      this.#fill()
    }

    #drop (jobId: string): void {
      this.#streams.get(jobId)?.given?.abort()
      this.#streams.delete(jobId)
    }

    /** Is it alive? Streams are opened again where they were: an answer proves the line, and none is missed. */
    #renew (): void {
      if (this.#streams.size === 0) return this.#say({ type: 'pong', id: null })
      for (const stream of this.#streams.values()) this.#rest(stream)
      this.#fill()
    }

    #rest (stream: Stream): void {
      stream.given?.abort()
      stream.given = null
    }

    #fill (): void {
      clock.clearTimeout(this.#turn)
      const streams = [...this.#streams.values()]
      let free = STREAMS_MAX - streams.filter(({ given }) => given !== null).length
      for (const stream of streams) {
        if (free > 0 && stream.given === null) {
          free--
          void this.#run(stream)
        }
      }
      if (streams.length > STREAMS_MAX) this.#turn = clock.setTimeout(() => this.#next(), TURN_MS)
    }

    /** The one that has run longest goes to the end. */
    #next (): void {
      const first = [...this.#streams.values()].find(({ given, acknowledged }) => given !== null && acknowledged)
      if (first !== undefined) {
        this.#rest(first)
        const key = first.asked.job_id ?? TENANT
        this.#streams.delete(key)
        this.#streams.set(key, first)
      }
      this.#fill()
    }

    async #run (stream: Stream): Promise<void> {
      const { asked } = stream
      const { job_id: jobId } = asked
      const given = stream.given = new AbortController()
      let watchdog: unknown
      /** The last word was when to come back: the gateway stops. */
      let backMs: number | null = null
      const alive = (): void => {
        clock.clearTimeout(watchdog)
        watchdog = clock.setTimeout(() => this.#end(1006), SILENCE_MS_MAX)
      }
      try {
        const query = { since: stream.since, wait_ms: asked.wait_ms, min_interval_ms: asked.min_interval_ms }
        const path = jobId === undefined ? 'v1/events' : `v1/jobs/${encodeURIComponent(jobId)}/events`
        const response = await this.#fetch(path, query, { signal: given.signal })
        if (given.signal.aborted) return
        if (response.status === 204 && stream.since !== undefined) { // nothing follows; the whole of it, then
          stream.since = undefined
          return void this.#run(stream)
        }
        if (jobId === undefined && (response.status === 404 || response.status === 405)) return await this.#list(stream, given)
        if (!response.ok || response.body === null) return await this.#refused(response, asked)
        alive()
        const parse = createEventParser(event => {
          if (given.signal.aborted) return
          backMs = null
          if (event.type === 'error') return this.#fail(JSON.parse(event.data), asked)
          this.#acknowledge(stream, stream.since !== undefined && event.type !== 'job.snapshot')
          stream.since = event.id || undefined
          this.onmessage?.({ data: event.data })
        }, () => this.#say({ type: 'pong', id: null }), ms => { backMs = stream.acknowledged ? ms : null })
        const reader = response.body.getReader()
        const decoder = new TextDecoder()
        for (;;) {
          const { done, value } = await reader.read()
          if (done) break
          alive()
          parse(decoder.decode(value, { stream: true }))
        }
        throw new Error('the stream ended')
      } catch {
        if (given.signal.aborted) return
        if (backMs === null) this.#end(1006)
        else this.#end(1012, JSON.stringify({ reconnect_after_ms: backMs }))
      } finally {
        clock.clearTimeout(watchdog)
      }
    }

    #acknowledge (stream: Stream, resumed: boolean): void {
      if (stream.acknowledged) return
      stream.acknowledged = true
      const { id = null, job_id: jobId } = stream.asked
      this.#say({ type: 'ack', id, action: jobId === undefined ? 'subscribe_tenant' : 'subscribe', job_id: jobId, data: { resumed } })
    }

    /** A gateway of before GET /v1/events: its list instead, and then the stream is asked for again, as another gateway may have it. */
    async #list (stream: Stream, given: AbortController): Promise<void> {
      const response = await this.#fetch('v1/jobs', { limit: LIST_JOBS }, { signal: given.signal })
      if (!response.ok) return await this.#refused(response, stream.asked)
      const { data: jobs } = await response.json() as { data: unknown }
      this.#acknowledge(stream, false)
      this.#say({ type: 'tenant.snapshot', ts: new Date().toISOString(), data: { jobs, reset: false } })
      const again = clock.setTimeout(() => { void this.#run(stream) }, LIST_MS)
      given.signal.addEventListener('abort', () => clock.clearTimeout(again))
    }

    async #control ({ action, job_id: jobId, reason, id }: Control): Promise<void> {
      try {
        const response = await this.#fetch(`v1/jobs/${encodeURIComponent(jobId)}/control`, {}, {
          method: 'POST', body: JSON.stringify({ action, reason }), signal: this.#over.signal
        })
        if (!response.ok) return await this.#refused(response, { job_id: jobId, ...(id === undefined ? {} : { id }) })
        this.#say({ type: 'ack', id: id ?? null, action, job_id: jobId, data: await response.json() })
      } catch {
        this.#end(1006)
      }
    }

    async #refused (response: Response, asked: { id?: string | null, job_id?: string }): Promise<void> {
      const problem = await response.json().catch(() => ({})) as Record<string, unknown>
      if (this.#over.signal.aborted) return
      const { status } = response
      if (status === 401) this.#end(4401, String(problem['detail'] ?? ''))
      else if (status === 429 || status >= 500) this.#end(status === 500 ? 1011 : 1013)
      else this.#fail(problem, asked)
    }

    #fail ({ code, detail, allowed }: Record<string, unknown>, { id, job_id: jobId }: { id?: string | null, job_id?: string }): void {
      if (this.#streams.get(jobId ?? TENANT)?.asked.id === id) this.#drop(jobId ?? TENANT)
      this.#say({ type: 'error', id: id ?? null, job_id: jobId, code: code ?? 'internal', detail: detail ?? '', allowed })
    }

    #fetch (path: string, query: Record<string, string | number | undefined>, init: RequestInit): Promise<Response> {
      const url = new URL(path, base)
      for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
      const headers = { authorization: `Bearer ${this.#token}`, ...(init.body == null ? {} : { 'content-type': 'application/json' }) }
      return fetch(url, { cache: 'no-store', ...init, headers })
    }
  }
}
