// What workers and users say: the events of the ingest stream, with the field names of the wire.

import type { ControlAction, ItemState, JobState } from './states.ts'

/** ISO 8601 (without a zone: UTC) or ms since 1970. */
export type Timestamp = string | number

export interface RegisterData {
  items_total?: number
  state?: 'pending' | 'running'
  items_completed?: number
  items_failed?: number
  items_skipped?: number
  items_canceled?: number
  rate_limited?: boolean
  /** Processing time allowed, ms; null or absent = no deadline. */
  processing_deadline_ms?: number | null
  auto_complete?: boolean
  fail_on_deadline?: boolean
  created_at?: Timestamp
  title?: string | null
  job_kind?: string | null
  item_kind?: string
  concurrency?: number | null
  metadata?: Record<string, unknown> | null
}

export interface StateData {
  /** `rate_limited` sets the condition and leaves the state. */
  state: JobState | 'rate_limited'
  reason?: string | null
  /** Lets `running` undo a pause. */
  resume?: boolean
  retry_at?: Timestamp | null
}

export interface ProgressData {
  items_total?: number
  items_completed?: number
  items_failed?: number
  items_skipped?: number
  items_canceled?: number
  rate_limited?: boolean
  retry_at?: Timestamp | null
}

export interface HeartbeatData {
  /** Id of the control request that the worker has seen and obeys. */
  ack?: string | null
  worker?: string | null
}

export interface ControlData { action: ControlAction, reason?: string | null }

export interface ItemData {
  id: string
  /** Absent = the current state; `pending` for an item not seen before. */
  state?: ItemState
  /** Absent = the current attempt, or the next for `processing` after `failed`. */
  attempt?: number
  retryable?: boolean
  percent_complete?: number
  duration_ms?: number | null
  created_at?: Timestamp
  updated_at?: Timestamp
  row_index?: number | null
  weight?: number | null
  title?: string | null
  kind?: string | null
  worker?: string | null
  error?: unknown
  result?: unknown
}

interface Addressed {
  tenant: string
  job: string
  /** Correlation id; absent = made from epoch and seq when it is read. */
  cid?: string | undefined
}

export type WorkerEvent = Addressed & (
  | { type: 'job.register', data: RegisterData }
  | { type: 'job.state', data: StateData }
  | { type: 'job.progress', data: ProgressData }
  | { type: 'job.heartbeat', data: HeartbeatData }
  | { type: 'job.control', data: ControlData }
  | { type: 'item.update', data: ItemData }
)
