// The names of the source document, for workers that are ported from it: `JobState.RUNNING` is the word `running`.

/* eslint @typescript-eslint/no-redeclare: off -- a value and the type of the same name, as an enum has */

import type { ItemEventName, JobMessage, JobMetrics } from '../protocol/messages.ts'
import type { ItemState, JobState as StateWord } from '../protocol/states.ts'
import type { ItemData } from '../protocol/worker-events.ts'

/** States of a job. `RATE_LIMITED` is no state: asked for, it sets the condition and leaves the state. */
export const JobState = {
  PENDING: 'pending',
  RUNNING: 'running',
  PAUSING: 'pausing',
  PAUSED: 'paused',
  COMPLETING: 'completing',
  COMPLETED: 'completed',
  CANCELING: 'canceling',
  CANCELED: 'canceled',
  FAILED: 'failed',
  RATE_LIMITED: 'rate_limited'
} as const satisfies Record<Uppercase<StateWord | 'rate_limited'>, string>
export type JobState = StateWord

/** States of an item. */
export const VideoState = {
  PENDING: 'pending',
  PROCESSING: 'processing',
  COMPLETED: 'completed',
  FAILED: 'failed',
  SKIPPED: 'skipped',
  CANCELED: 'canceled'
} as const satisfies Record<Uppercase<ItemState>, ItemState>
export type VideoState = ItemState

/** Types of messages to clients; of items those of the default `item_kind`. */
export const EventType = {
  JOB_SNAPSHOT: 'job.snapshot',
  JOB_STATE_CHANGED: 'job.state_changed',
  JOB_PROGRESS: 'job.progress',
  JOB_RATE_LIMITED: 'job.rate_limited',
  JOB_RATE_LIMIT_CLEARED: 'job.rate_limit_cleared',
  JOB_STALLED: 'job.stalled',
  JOB_RECOVERED: 'job.recovered',
  JOB_DEADLINE_EXCEEDED: 'job.deadline_exceeded',
  JOB_COMPLETED: 'job.completed',
  JOB_CANCELED: 'job.canceled',
  JOB_FAILED: 'job.failed',
  VIDEO_QUEUED: 'video.queued',
  VIDEO_STARTED: 'video.started',
  VIDEO_PROGRESS: 'video.progress',
  VIDEO_COMPLETED: 'video.completed',
  VIDEO_FAILED: 'video.failed',
  VIDEO_SKIPPED: 'video.skipped',
  VIDEO_CANCELED: 'video.canceled',
  VIDEO_RETRYING: 'video.retrying'
} as const satisfies Record<string, JobMessage['type']> & Record<`VIDEO_${Uppercase<ItemEventName>}`, `video.${ItemEventName}`>
export type EventType = typeof EventType[keyof typeof EventType]

/** Every metric of a job. */
export type JobProgress = JobMetrics
/** What a worker tells about an item. */
export type VideoProgress = ItemData
