// How events leave a worker, and how it hears of its jobs. One contract for every way; what differs is only where "stored" is.

import type { JobView } from '../protocol/messages.ts'
import type { JobState } from '../protocol/states.ts'
import type { WorkerEvent } from '../protocol/worker-events.ts'

/** What a user wants of a job, as far as the worker has to know. */
export interface JobControl {
  /** State of the job; null = the job is not known. */
  state: string | null
  /** Open request (pause or cancel) that waits for an acknowledgement; null = none. */
  request_id: string | null
}

export interface StateChange { prior: JobState, next: JobState, reason: string | null }

/** What a watch tells: how the job stands, and what led there. */
export interface JobNews {
  /**
   * The job after `changes`, its times for the instant of the call; null = it is not there: not registered yet, or lost with
   * Redis's data.
   */
  view: (() => JobView) | null
  /** Since the last news, oldest first. Each change comes once; what the log no longer holds comes as one. */
  changes: StateChange[]
  /** It ended and has left Redis: nothing follows. */
  gone: boolean
}

export interface JobWatch {
  /** Resolves with the first news. */
  readonly ready: Promise<void>
  /** Hears nothing any more. Idempotent. */
  close (): void
}

export interface Transport {
  /**
   * @returns resolves when the event is stored, in the order of the calls for one job
   * @throws HeadwayError invalid_field, too_deep, event_too_large: never sent · overloaded: not taken, the buffer and
   *   its waiting room are full · closed
   */
  send (event: WorkerEvent): Promise<void>
  /** @throws HeadwayError redis_unavailable */
  control (tenant: string, job: string): Promise<JobControl>
  /**
   * Tells of a job from now on: first how it stands, with what changed since this call, then every change, whoever made it and
   * whatever breaks in between. A job that is not registered yet is waited for. Does not hold the process.
   */
  watch (tenant: string, job: string, tell: (news: JobNews) => void): JobWatch
  /** Jobs it can watch at once. */
  readonly watches_max: number
  /** Resolves when everything sent before is stored. */
  flush (): Promise<void>
  /** Gives up what is not stored, ends the watches. Idempotent. */
  close (): Promise<void>
}
