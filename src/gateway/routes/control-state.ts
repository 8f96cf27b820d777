// What every reply to a worker carries: the state of its job and the user's open request, so that it hears of a pause with the next
// thing that it reports.

import type { JobState } from '../../protocol/states.ts'
import type { Reach } from '../reach.ts'

/** `request_id` is the open request's; null when there is none. `state` is null when the job is not known, or not told. */
export interface Control { state: JobState | null, request_id: string | null }

export const NO_CONTROL: Control = { state: null, request_id: null }

/**
 * A refusal does not say which request is open, so the job is read: refusals are rare.
 * @param state when the job cannot be read
 */
export async function readControl (engine: Pick<Reach, 'readJob'>, tenant: string, id: string, state: JobState | null = null): Promise<Control> {
  try {
    const read = await engine.readJob(tenant, id)
    return read === null ? NO_CONTROL : { state: read.job.state, request_id: read.job.control.id }
  } catch {
    return { state, request_id: null }
  }
}
