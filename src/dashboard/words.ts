// Words for states, and what a user may ask for in each.

import { CONTROL_TARGETS, type ControlAction, type ItemState, type JobState } from '../protocol/states.ts'
import type { JobMetrics, JobView } from '../protocol/messages.ts'

export const STATE_WORDS: Record<JobState, string> = {
  pending: 'Waiting',
  running: 'Running',
  pausing: 'Pausing',
  paused: 'Paused',
  completing: 'Completing',
  completed: 'Completed',
  canceling: 'Canceling',
  canceled: 'Canceled',
  failed: 'Failed'
}

export const ITEM_STATE_WORDS: Record<ItemState, string> = {
  pending: 'Waiting',
  processing: 'In progress',
  completed: 'Completed',
  failed: 'Failed',
  skipped: 'Skipped',
  canceled: 'Canceled'
}

/** Only what leads to another state; asking for the state the job is in would do nothing. */
export function isUseful (action: ControlAction, state: JobState): boolean {
  const target = CONTROL_TARGETS[action][state]
  return target !== null && target !== 'same'
}

/** Read from the database: it has left Redis. */
export const ARCHIVED = 'Archived'

type Conditions = Pick<JobMetrics, 'rate_limited' | 'stalled' | 'deadline_exceeded' | 'deadline_at_risk'> & Pick<JobView, 'archived'>

/** What stands beside the state: nothing when all is as usual. */
export function conditions (job: Conditions): string[] {
  const all: string[] = []
  if (job.archived === true) all.push(ARCHIVED)
  if (job.rate_limited) all.push('Rate limited')
  if (job.stalled) all.push('Stalled')
  if (job.deadline_exceeded) all.push('Deadline exceeded')
  else if (job.deadline_at_risk) all.push('Deadline at risk')
  return all
}

/** `all_items_settled` → `all items settled`: reasons are often codes. */
export function readable (reason: string): string {
  return /^[a-z0-9_]+$/.test(reason) ? reason.replaceAll('_', ' ') : reason
}
