// What clients get: the envelope and the data of every message. v1 only adds; receivers ignore what they do not know.

import type { ControlAction, ItemState, JobState, TerminalJobState } from './states.ts'

/** Every metric of a job, as clients see it. Times in ms, percents 0–100, instants ISO 8601 UTC. */
export interface JobMetrics {
  items_total: number
  items_completed: number
  items_failed: number
  items_skipped: number
  items_canceled: number
  items_pending: number
  items_processing: number
  percent_complete: number
  /** Partial items included. */
  percent_in_progress: number
  /** Null before the first running. */
  time_to_start_ms: number | null
  time_processing_ms: number
  average_duration_ms_per_item: number | null
  /** Falls while nothing is settled; 0 while nobody works; of the whole run when the job has ended. Null when nothing is known. */
  throughput_per_min: number | null
  /** Null when nothing is known, 0 when nothing remains. */
  eta_ms: number | null
  eta_low_ms: number | null
  eta_high_ms: number | null
  /** 0–1; 0 when nothing is known. */
  eta_confidence: number
  /** Why eta_ms is what it is: estimated, silent (nothing settled for long), stalled, no_samples, nothing_remains, paused, rate_limited. */
  eta_reason: string
  finish_at: string | null
  rate_limited: boolean
  retry_at: string | null
  stalled: boolean
  processing_deadline_ms: number | null
  deadline_exceeded: boolean
  deadline_at_risk: boolean
}

/** A job in snapshots, lists and HTTP answers. */
export interface JobView extends JobMetrics {
  id: string
  tenant_id: string
  title: string | null
  job_kind: string | null
  item_kind: string
  state: JobState
  reason: string | null
  epoch: number
  seq: number
  rev: number
  concurrency: number | null
  auto_complete: boolean
  fail_on_deadline: boolean
  metadata: Record<string, unknown> | null
  created_at: string
  started_at: string | null
  updated_at: string
  ended_at: string | null
  control: { request_id: string | null, action: ControlAction | null, acknowledged: boolean }
  /** True: it has left Redis, and this is what the database keeps of it. Absent otherwise. */
  archived?: true
}

export interface ItemView {
  id: string
  title: string | null
  state: ItemState
  row_index: number | null
  percent_complete: number
  attempt: number
  retryable: boolean
  created_at: string
  updated_at: string
  duration_ms: number | null
  weight: number | null
  kind: string | null
  worker: string | null
  error: unknown
  result: unknown
  truncated: boolean
}

export interface SnapshotData {
  epoch: number
  /** True when it replaces a history that cannot be continued. */
  reset: boolean
  job: JobView
  /** At most 50, those last logged, newest first. */
  items: ItemView[]
  /** Distinct items seen. */
  items_seen: number
}

export interface StateChangedData {
  prior_state: JobState
  new_state: JobState
  reason: string | null
  /** True when a time-out did it. */
  forced: boolean
}

export type ItemEventName = 'queued' | 'started' | 'progress' | 'completed' | 'failed' | 'skipped' | 'canceled' | 'retrying'

interface Envelope<T extends string, D> {
  type: T
  ts: string
  correlation_id: string
  job_id: string
  seq: number
  rev: number
  data: D
}

export type JobMessage =
  | Envelope<'job.snapshot', SnapshotData>
  | Envelope<'job.state_changed', StateChangedData>
  | Envelope<'job.progress', JobMetrics>
  | Envelope<'job.rate_limited', { retry_at: string | null, reason: string | null }>
  | Envelope<'job.rate_limit_cleared', Record<string, never>>
  | Envelope<'job.stalled' | 'job.recovered', Record<string, never>>
  | Envelope<'job.deadline_exceeded', { processing_deadline_ms: number | null }>
  | Envelope<`job.${TerminalJobState}`, JobMetrics & { state: TerminalJobState, reason: string | null }>
  | Envelope<`${string}.${ItemEventName}`, ItemView>

/** Answer to a client's request on a socket. */
export interface AckMessage { type: 'ack', id: string | null, action: string, job_id?: string, data?: Record<string, unknown> }
export interface ErrorMessage {
  type: 'error'
  id: string | null
  code: string
  detail: string
  job_id?: string
  /** For invalid_transition: what would be allowed. */
  allowed?: string[]
}
export interface PongMessage { type: 'pong', id: string | null, ts: string }

export type ServerMessage = JobMessage | AckMessage | ErrorMessage | PongMessage

/** What a client may send. `id` comes back in the ack or error. */
export type ClientMessage =
  /** `since` = a cursor: what was logged after it instead of a snapshot. `min_interval_ms` = progress at most so often. */
  | { action: 'subscribe', job_id: string, id?: string, wait_ms?: number, since?: string, min_interval_ms?: number }
  | { action: 'subscribe_tenant', id?: string }
  | { action: 'unsubscribe_tenant', id?: string }
  | { action: 'unsubscribe', job_id: string, id?: string }
  | { action: ControlAction, job_id: string, reason?: string, id?: string }
  | { action: 'authenticate', token: string, id?: string }
  | { action: 'ping', id?: string }
