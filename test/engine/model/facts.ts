// What the model works on: events as decoded facts, and a partition's state as plain objects. No bytes, no Redis.
//
// Times are ms: `*_wall` by Redis's clock, others by the partition's service clock. Null = absent, as in docs/engine.md.

import type { ControlAction, ItemState, JobState, TerminalJobState } from '../../../src/protocol/states.ts'

export interface Counters { completed: number, failed: number, skipped: number, canceled: number }
export type Partial4 = { [K in keyof Counters]: number | null }

export interface RegisterFacts {
  items_total: number
  state: 'pending' | 'running'
  initial: Counters
  rate_limited: boolean
  deadline_ms: number | null
  auto_complete: boolean
  fail_on_deadline: boolean
  created_wall: number | null
  title: string | null
  job_kind: string | null
  item_kind: string
  concurrency: number | null
  metadata_json: string | null
}

export interface StateFacts {
  state: JobState | 'rate_limited'
  resume: boolean
  retry_at_wall: number | null
  reason: string | null
}

export interface ProgressFacts {
  items_total: number | null
  reported: Partial4
  rate_limited: boolean | null
  retry_at_wall: number | null
}

export interface HeartbeatFacts { ack: string | null, worker: string | null }

export interface ControlFacts { action: ControlAction, reason: string | null }

/** The fields of an item that an update replaces when it gives them. */
export interface ItemTexts {
  row_index: number | null
  weight: number | null
  title: string | null
  kind: string | null
  worker: string | null
  error_json: string | null
  result_json: string | null
}

export interface ItemFacts extends ItemTexts {
  id: string
  state: ItemState | null
  attempt: number | null
  retryable: boolean | null
  /** Hundredths of a percent. */
  percent: number | null
  duration_ms: number | null
  created_wall: number | null
  updated_wall: number | null
  truncated: boolean | null
}

interface Addressed { tenant: string, job: string, cid: string | null }

export type Fact = Addressed & (
  | { type: 'register', data: RegisterFacts }
  | { type: 'state', data: StateFacts }
  | { type: 'progress', data: ProgressFacts }
  | { type: 'heartbeat', data: HeartbeatFacts }
  | { type: 'control', data: ControlFacts }
  | { type: 'item', data: ItemFacts }
  /** Refused by its form alone; with one of these codes. */
  | { type: 'fault', codes: readonly string[] }
)

export interface Entry {
  /** `<ms>-<n>`, given by the stream. */
  id: string
  events: readonly Fact[]
  producer: { name: string, n: number } | null
  request_id: string | null
  /** The whole entry is refused by its size or form; with one of these codes. */
  fault: readonly string[] | null
}

export interface Item extends ItemTexts {
  state: ItemState
  attempt: number
  retryable: boolean
  percent: number
  started: number | null
  duration_ms: number | null
  created_wall: number
  updated_wall: number
  truncated: boolean
}

export type ItemLetter = 'q' | 's' | 'c' | 'f' | 'k' | 'x' | 'r' | 'p'

export type LogFact = { ts: number, cid: string | null } & (
  | { letter: 'S', prior: JobState, next: JobState, forced: boolean, reason: string | null }
  | { letter: 'L', retry_at_wall: number | null, reason: string | null }
  | { letter: 'l' | 'T' | 't' | 'D' }
  | { letter: 'F', state: TerminalJobState, reason: string | null }
  | { letter: ItemLetter, id: string, item: Item }
)

export interface Pace { samples: number, sum: number, mean: number, weight: number, at: number | null }

export interface Job {
  tenant: string
  id: string
  /** Id of the last entry applied. */
  lid: string
  epoch: number
  seq: number
  rev: number
  state: JobState
  reason: string | null
  rate_limited: boolean
  retry_at: number | null
  stalled: boolean
  heartbeat: boolean
  deadline_exceeded: boolean
  items_total: number
  reported: Partial4
  registration: RegisterFacts
  items: Map<string, Item>
  created_wall: number
  started_wall: number | null
  proc_ms: number
  proc_since: number | null
  life: number
  updated_wall: number
  state_since: number
  idle_since: number | null
  control: { id: string | null, action: ControlAction | null, at: number | null, acked: boolean }
  durations: number[]
  pace: Pace
  /** Change that last wrote it to the outbox; 0 = never. */
  outbox: number
  /** A finished job that may not leave yet looks again at this time. */
  wait_until: number | null
}

/** An event of the log with its place. */
export type Logged = LogFact & { seq: number, rev: number }

export type Message =
  | {
    type: 'update'
    job: Job
    epoch: number
    seq_from: number
    seq_to: number
    registered: boolean
    events: LogFact[]
    progress: LogFact[]
  }
  | { type: 'gone', tenant: string, id: string, epoch: number, rev: number }

export interface DeadLetter { entry: string, index: number | null, codes: readonly string[], tenant: string | null, job: string | null }

export type Effect = 'applied' | 'repeat' | 'ignored'

export type Answer =
  | { ok: true, effect: Effect, state: JobState | null, rev: number | null, request_id: string | null }
  | { ok: false, codes: readonly string[], state: JobState | null, allowed: readonly string[] }

export interface Counts { applied: number, repeated: number, ignored: number, rejected: number, gaps: number, timers: number }

export interface ModelSettings {
  control_timeout_ms: number
  stall_after_ms: number
  abandon_after_ms: number
  retention_ms: number
  items_max: number
  /** `none`: no sink. `open`: the outbox takes everything. `tight`: it is full as soon as anything unread stands in it. */
  outbox: 'none' | 'open' | 'tight'
}
