// What a job's log holds: everything that has a seq and is never conflated. Progress is state and stands elsewhere.

import type { StoredItem } from './job.ts'
import type { ItemEventName } from './messages.ts'
import type { JobState, TerminalJobState } from './states.ts'

interface Logged {
  /** 1 = the first of the job's epoch; no gap, no repeat. */
  seq: number
  /** Wall ms of the stream entry that caused it; for timers the reducer's clock. */
  ts: number
  /** Correlation id; `<epoch>.<seq>` when its cause carried none. */
  cid: string
  /** The rev its drain ended with, so events of one drain share it. */
  rev: number
}

export type LoggedEvent = Logged & (
  | { event: 'state_changed', prior: JobState, next: JobState, forced: boolean, reason: string | null }
  | {
    event: 'rate_limited'
    /** Wall ms. */
    retry_at: number | null
    reason: string | null
  }
  | { event: 'rate_limit_cleared' | 'stalled' | 'recovered' | 'deadline_exceeded' }
  | { event: 'final', state: TerminalJobState, reason: string | null }
  | {
    event: 'item'
    /** Never `progress`, which is published but not logged. */
    name: ItemEventName
    item: StoredItem
  })
