// Messages by their type: what a listener for one type gets.

import type { AckMessage, ItemEventName, ItemView, JobMessage, JobMetrics, SnapshotData, StateChangedData } from '../protocol/messages.ts'
import type { TerminalJobState } from '../protocol/states.ts'

interface JobData {
  'job.snapshot': SnapshotData
  'job.state_changed': StateChangedData
  'job.progress': JobMetrics
  'job.rate_limited': { retry_at: string | null, reason: string | null }
  'job.rate_limit_cleared': Record<string, never>
  'job.stalled': Record<string, never>
  'job.recovered': Record<string, never>
  'job.deadline_exceeded': { processing_deadline_ms: number | null }
  'job.completed': FinalData
  'job.canceled': FinalData
  'job.failed': FinalData
}

export type FinalData = JobMetrics & { state: TerminalJobState, reason: string | null }

/** `job.…`, or an item's event by the job's item kind: `video.completed`. */
export type EventType = keyof JobData | `${string}.${ItemEventName}`

export type EventData<T extends EventType> = T extends keyof JobData ? JobData[T] : ItemView

export type EventOf<T extends EventType> = Omit<JobMessage, 'type' | 'data'> & { type: T, data: EventData<T> }

/** What became of a pause, resume or cancel. */
export interface ControlResult {
  /** applied, repeat (it was so already), or unconfirmed: stored, the effect is not known yet. */
  effect: string
  state: string | null
  rev: number | null
  request_id: string | null
}

export function controlResultOf ({ data = {} }: AckMessage): ControlResult {
  const { effect, state, rev, request_id: requestId } = data
  return {
    effect: typeof effect === 'string' ? effect : 'applied',
    state: typeof state === 'string' ? state : null,
    rev: typeof rev === 'number' ? rev : null,
    request_id: typeof requestId === 'string' ? requestId : null
  }
}
