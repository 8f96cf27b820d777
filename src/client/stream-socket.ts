// For networks that let no WebSocket through: the same messages over plain HTTP. It looks like a socket to the rest of the
// client: a subscription becomes a stream of server-sent events read by fetch, control calls are POSTs, a tenant is asked for
// its list again and again. A stream that is cut ends the "socket", and everything resumes by its cursor.
//
// Browsers open six connections to a host over HTTP/1.1 and would keep the seventh request waiting for ever, control calls
// among them. So a few streams run at a time; when there are more, they take turns, which loses nothing.

import type { AckMessage, ClientMessage, ErrorMessage, JobView } from '../protocol/messages.ts'
import { createEventParser } from '../protocol/event-stream.ts'
import type { Clock, SocketFactory, SocketLike } from './platform.ts'

type Subscribe = Extract<ClientMessage, { action: 'subscribe' }>
type Control = Extract<ClientMessage, { reason?: string }>

interface Stream {
  asked: Subscribe
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
const TENANT_POLL_MS = 2_000
const TENANT_JOBS = 200

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
    #poll: unknown

    constructor (_url: string, protocols: string[]) {
      this.#token = (protocols[1] ?? '').slice('bearer.'.length)
      queueMicrotask(() => this.onopen?.())
    }

    send (text: string): void {
      const message = JSON.parse(text) as ClientMessage
      switch (message.action) {
        case 'subscribe':
          this.#drop(message.job_id)
          this.#streams.set(message.job_id, { asked: message, since: message.since, acknowledged: false, given: null })
          return this.#fill()
        case 'unsubscribe':
          this.#drop(message.job_id)
          return this.#fill()
        case 'subscribe_tenant':
          clock.clearTimeout(this.#poll)
          return void this.#list(message.id ?? null)
        case 'unsubscribe_tenant':
          return clock.clearTimeout(this.#poll)
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
      clock.clearTimeout(this.#poll)
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
        this.#streams.delete(first.asked.job_id)
        this.#streams.set(first.asked.job_id, first)
      }
      this.#fill()
    }

    async #run (stream: Stream): Promise<void> {
      const { asked } = stream
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
        const response = await this.#fetch(`v1/jobs/${encodeURIComponent(asked.job_id)}/events`, query, { signal: given.signal })
        if (given.signal.aborted) return
        if (response.status === 204 && stream.since !== undefined) { // nothing follows; the whole of it, then
          stream.since = undefined
          return void this.#run(stream)
        }
        if (!response.ok || response.body === null) return await this.#refused(response, asked)
        alive()
        const parse = createEventParser(event => {
          if (given.signal.aborted) return
          backMs = null
          if (event.type === 'error') return this.#fail(JSON.parse(event.data), asked)
          if (!stream.acknowledged) {
            stream.acknowledged = true
            const resumed = stream.since !== undefined && event.type !== 'job.snapshot'
            this.#say({ type: 'ack', id: asked.id ?? null, action: 'subscribe', job_id: asked.job_id, data: { resumed } })
          }
          stream.since = event.id
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

    async #list (id: string | null): Promise<void> {
      try {
        const response = await this.#fetch('v1/jobs', { limit: TENANT_JOBS }, { signal: this.#over.signal })
        if (!response.ok) return await this.#refused(response, { id })
        const { data } = await response.json() as { data: JobView[] }
        this.#poll = clock.setTimeout(() => { void this.#list(id) }, TENANT_POLL_MS)
        this.#say({ type: 'ack', id, action: 'subscribe_tenant' })
        this.#say({ type: 'tenant.snapshot', ts: new Date().toISOString(), data: { jobs: data, reset: true } })
      } catch {
        this.#end(1006)
      }
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
      if (jobId !== undefined && this.#streams.get(jobId)?.asked.id === id) this.#drop(jobId)
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
