// A job and an item as stored: what Redis keeps, decoded, before anything is derived from it.

import type { ControlAction, ItemState, JobState } from './states.ts'

/** One number for each way an item can be settled. */
export interface Counters { completed: number, failed: number, skipped: number, canceled: number }

/** Given once, at registration; never changed by events. */
export interface Registration {
  /** As declared at registration; the current one stands in {@link StoredJob.items_total}. */
  items_total: number
  /** Kind of work, for whoever reads the history. Empty = none. */
  job_kind: string
  /** Prefix of the job's item events. */
  item_kind: string
  /** Declared parallelism of the worker; null = not told. */
  concurrency: number | null
  /** Processing time allowed, ms; null = no deadline. */
  deadline_ms: number | null
  auto_complete: boolean
  fail_on_deadline: boolean
  title: string | null
  /** Any JSON object, passed through as text; null = none. */
  metadata_json: string | null
}

/** A user's pause or cancel, and whether the worker has acknowledged it. */
export interface ControlRequest {
  /** Null when no request is open (acknowledged, forced, settled or replaced). */
  id: string | null
  action: ControlAction | null
  /** Service ms; null = there never was one. */
  at: number | null
  acked: boolean
}

/** The header of a job: every column that changes. Times in *service* ms unless said otherwise. */
export interface StoredJob {
  tenant_id: string
  id: string
  /** Effective epoch: the later of the registration's and the partition's last data loss. */
  epoch: number
  /** Epoch issued at registration: the job's identity among runs of the same id. */
  registered_epoch: number
  /** Last logged event; 0 = none yet. */
  seq: number
  rev: number
  state: JobState
  /** Reason of the last change of state. */
  reason: string | null
  rate_limited: boolean
  retry_at: number | null
  stalled: boolean
  deadline_exceeded: boolean
  auto_complete: boolean
  fail_on_deadline: boolean
  items_total: number
  /** From item updates; `failed` includes `retryable`. */
  counted: Counters & { retryable: number, processing: number, pending: number }
  /** Last reported by job.progress; null = never. */
  reported: { [K in keyof Counters]: number | null }
  /** Given at registration. */
  initial: Counters
  /** Sum of the percents of the items in processing, in hundredths of a percent. */
  partial: number
  /** Wall ms. */
  created_at: number
  /** Wall ms of the first running; null = never ran. */
  started_at: number | null
  /** Processing time of finished stretches, ms. */
  proc_ms: number
  /** When the current stretch began; null = the clock of processing time stands. */
  proc_since: number | null
  /** Wall ms of the last visible change. */
  updated_at: number
  state_since: number
  control: ControlRequest
  deadline_ms: number | null
  pace: Pace
  /** Stop time of the partition: service ms + gap_ms = wall ms. */
  gap_ms: number
}

/** What estimates are made from; see metrics.ts for the formulas. */
export interface Pace {
  /** Finished attempts of known duration, at most 100. */
  samples: number
  /** Decayed sum of their durations, ms; the newest has weight 1. */
  sum: number
  /** Decayed mean, times its weight, of the processing time between two settled items, ms. */
  mean: number
  /** Weight of `mean`, 0..1; 0 = nothing settled yet. */
  weight: number
  /** Processing time at which the last item settled, ms; null = none. */
  at: number | null
}

export interface StoredItem {
  id: string
  state: ItemState
  /** 1 = the first. */
  attempt: number
  retryable: boolean
  /** 0–100, two decimals. */
  percent_complete: number
  /** Service ms when the attempt entered processing; null = it never did. */
  started_at: number | null
  duration_ms: number | null
  /** Wall ms. */
  created_at: number
  updated_at: number
  /** True when a text of it was cut to its limit. */
  truncated: boolean
  row_index: number | null
  weight: number | null
  title: string | null
  kind: string | null
  worker: string | null
  /** JSON texts, passed through. */
  error_json: string | null
  result_json: string | null
}
