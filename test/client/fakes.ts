// A socket, a clock and messages that a test plays by hand.

import type { Clock, SocketFactory, SocketLike, WakeSource } from '../../src/client/platform.ts'
import type { ItemView, JobMessage, JobMetrics, JobView, SnapshotData } from '../../src/protocol/messages.ts'

export class FakeSocket implements SocketLike {
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number, reason: string }) => void) | null = null
  onerror: (() => void) | null = null
  readonly url: string
  readonly protocols: string[]
  readonly sent: { action: string, id?: string, job_id?: string, [field: string]: unknown }[] = []
  closed = false

  constructor (url: string, protocols: string[]) {
    this.url = url
    this.protocols = protocols
  }

  send (text: string): void { this.sent.push(JSON.parse(text)) }
  close (): void { this.closed = true }

  // what the server does
  open (): void { this.onopen?.() }
  says (...messages: object[]): void { for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) }) }
  end (code: number, reason = ''): void { this.onclose?.({ code, reason }) }
  /** Acknowledges the newest subscription of a job. */
  acks (jobId = 'job_1', data?: object): void {
    const { id } = this.sent.findLast(({ action, job_id: job }) => action === 'subscribe' && job === jobId)!
    this.says({ type: 'ack', id, action: 'subscribe', job_id: jobId, ...(data === undefined ? {} : { data }) })
  }

  /** Acknowledges them and says that each begins with this snapshot. */
  begins (...snapshots: JobMessage[]): void {
    for (const snapshot of snapshots) {
      this.acks(snapshot.job_id, { resumed: false })
      this.says(snapshot)
    }
  }

  last (action: string) { return this.sent.findLast(message => message.action === action) }
}

/** Every socket that was made, newest last. */
export function fakeSockets (): { made: FakeSocket[], WebSocket: SocketFactory } {
  const made: FakeSocket[] = []
  return {
    made,
    WebSocket: class extends FakeSocket {
      constructor (url: string, protocols: string[]) {
        super(url, protocols)
        made.push(this)
      }
    }
  }
}

export interface FakeClock extends Clock {
  now: number
  /** Delays of the timers that are set, soonest first. */
  waits (): number[]
  /** Lets time pass and runs what falls due, in order. */
  pass (ms: number): Promise<void>
}

export function fakeClock (): FakeClock {
  const timers = new Map<number, { at: number, callback: () => void }>()
  let ids = 0
  const clock: FakeClock = {
    now: 0,
    setTimeout (callback, ms) {
      timers.set(++ids, { at: clock.now + ms, callback })
      return ids
    },
    clearTimeout (id) { timers.delete(id as number) },
    waits: () => [...timers.values()].map(({ at }) => at - clock.now).sort((a, b) => a - b),
    async pass (ms) {
      const end = clock.now + ms
      for (;;) {
        const [id, due] = [...timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? []
        if (due === undefined || due.at > end) break
        clock.now = due.at
        timers.delete(id!)
        due.callback()
        await turn()
      }
      clock.now = end
      await turn()
    }
  }
  return clock
}

/** What a page tells a client: the network is back, somebody looks again. */
export function fakeWake (): { wake: () => void, listeners: Set<() => void>, onWake: WakeSource } {
  const listeners = new Set<() => void>()
  return {
    listeners,
    wake () { for (const listener of listeners) listener() },
    onWake (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    }
  }
}

/** Lets promises that are settled run on. */
export const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

export const METRICS: JobMetrics = {
  items_total: 10,
  items_completed: 0,
  items_failed: 0,
  items_skipped: 0,
  items_canceled: 0,
  items_pending: 10,
  items_processing: 0,
  percent_complete: 0,
  percent_in_progress: 0,
  time_to_start_ms: null,
  time_processing_ms: 0,
  average_duration_ms_per_item: null,
  throughput_per_min: null,
  eta_ms: null,
  eta_low_ms: null,
  eta_high_ms: null,
  eta_confidence: 0,
  eta_reason: 'no_samples',
  finish_at: null,
  rate_limited: false,
  retry_at: null,
  stalled: false,
  processing_deadline_ms: null,
  deadline_exceeded: false,
  deadline_at_risk: false
}

export const TS = '2026-11-23T12:00:00.000Z'

export function job (fields: Partial<JobView> = {}): JobView {
  return {
    ...METRICS,
    id: 'job_1',
    tenant_id: 'acme',
    title: null,
    job_kind: null,
    item_kind: 'video',
    state: 'running',
    reason: null,
    epoch: 1000,
    seq: 1,
    rev: 1,
    concurrency: null,
    auto_complete: false,
    fail_on_deadline: false,
    metadata: null,
    created_at: TS,
    started_at: TS,
    updated_at: TS,
    ended_at: null,
    control: { request_id: null, action: null, acknowledged: false },
    ...fields
  }
}

export function item (id: string, fields: Partial<ItemView> = {}): ItemView {
  return {
    id,
    title: null,
    state: 'processing',
    row_index: null,
    percent_complete: 0,
    attempt: 1,
    retryable: false,
    created_at: TS,
    updated_at: TS,
    duration_ms: null,
    weight: null,
    kind: null,
    worker: null,
    error: null,
    result: null,
    truncated: false,
    ...fields
  }
}

export function snapshot (fields: Partial<JobView> = {}, data: Partial<SnapshotData> = {}): JobMessage {
  const view = job(fields)
  return {
    ...envelope(view.seq, view.rev, view.id),
    type: 'job.snapshot',
    data: { epoch: view.epoch, reset: false, job: view, items: [], items_seen: 0, ...data }
  }
}

export function message (type: string, seq: number, data: object = {}, rev = seq, jobId = 'job_1'): JobMessage {
  return { ...envelope(seq, rev, jobId), type, data } as JobMessage
}

function envelope (seq: number, rev: number, jobId: string) {
  return { ts: TS, correlation_id: `1000.${seq}`, job_id: jobId, seq, rev }
}
