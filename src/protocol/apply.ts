// A job's view one message later. Pure: who watches decides whether the message is the next one.

import type { JobMessage, JobMetrics, JobView, StateChangedData } from './messages.ts'
import type { TerminalJobState } from './states.ts'

/** True for messages that conflate: they carry the current seq and never advance it. */
export function isProgress (type: string): boolean {
  return type.endsWith('.progress')
}

export function isFinal (type: string): type is `job.${TerminalJobState}` {
  return type === 'job.completed' || type === 'job.canceled' || type === 'job.failed'
}

/** @param message of this job, not older than the view, no snapshot; of a type that is not known only the position counts */
export function applyToJob (job: JobView, message: JobMessage): JobView {
  const changes = message.type.startsWith('job.') ? jobChanges(job, message) : {}
  return { ...job, ...changes, seq: message.seq, rev: Math.max(job.rev, message.rev), updated_at: message.ts }
}

function jobChanges (job: JobView, message: JobMessage): Partial<JobView> {
  switch (message.type) {
    case 'job.state_changed': {
      const { new_state: state, reason } = message.data as StateChangedData
      const open = state === 'pausing' || state === 'canceling'
      return {
        state,
        reason,
        ...(state === 'running' && job.started_at === null ? { started_at: message.ts } : {}),
        ...(state === 'running' ? {} : { stalled: false }), // leaving running clears it silently
        ...(open ? {} : { control: { request_id: null, action: job.control.action, acknowledged: job.control.acknowledged } })
      }
    }
    case 'job.progress':
      return message.data as JobMetrics
    case 'job.rate_limited':
      return { rate_limited: true, retry_at: (message.data as { retry_at: string | null }).retry_at }
    case 'job.rate_limit_cleared':
      return { rate_limited: false, retry_at: null }
    case 'job.stalled':
      return { stalled: true }
    case 'job.recovered':
      return { stalled: false }
    case 'job.deadline_exceeded':
      return { deadline_exceeded: true }
    case 'job.completed':
    case 'job.canceled':
    case 'job.failed':
      return { ...message.data as JobMetrics & { state: TerminalJobState, reason: string | null }, ended_at: message.ts }
    default:
      return {}
  }
}
