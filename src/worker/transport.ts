// How events leave a worker. One contract for every way out; what differs is only where "stored" is.

import type { WorkerEvent } from '../protocol/worker-events.ts'

/** What a user wants of a job, as far as the worker has to know. */
export interface JobControl {
  /** State of the job; null = the job is not known. */
  state: string | null
  /** Open request (pause or cancel) that waits for an acknowledgement; null = none. */
  request_id: string | null
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
  /** Resolves when everything sent before is stored. */
  flush (): Promise<void>
  /** Gives up what is not stored. Idempotent. */
  close (): Promise<void>
}
