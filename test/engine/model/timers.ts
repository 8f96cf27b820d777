// The timers of a job: when each is due, and what it does.

import { isTerminal } from '../../../src/protocol/states.ts'
import type { Job, ModelSettings } from './facts.ts'
import { clearRateLimit, inProcessing, move, type Cause } from './job.ts'

const SETTLE_MS = 1_000

/** In the order that breaks ties. */
const TIMERS = ['deadline', 'settle', 'control', 'retry', 'stall', 'abandon', 'retention'] as const
export type TimerName = typeof TIMERS[number]

/** Service ms; null = not armed. */
function due (timer: TimerName, job: Job, settings: ModelSettings): number | null {
  const winding = job.state === 'pausing' || job.state === 'canceling'
  const { control, life, state_since: since } = job
  switch (timer) {
    case 'deadline': {
      const allowed = job.registration.deadline_ms
      if (allowed === null || job.deadline_exceeded || !inProcessing(job) || job.proc_since === null) return null
      return job.proc_since + allowed - job.proc_ms
    }
    case 'settle': return winding && job.idle_since !== null ? Math.max(job.idle_since, since) + SETTLE_MS : null
    case 'control':
      if (!winding) return null
      if (control.id !== null && control.at !== null) return control.at + settings.control_timeout_ms
      return Math.max(life, control.at ?? 0, since) + settings.control_timeout_ms
    case 'retry': return job.rate_limited && !isTerminal(job.state) ? job.retry_at : null
    case 'stall':
      return job.state === 'running' && job.heartbeat && !job.stalled ? Math.max(life, since) + settings.stall_after_ms : null
    case 'abandon': return isTerminal(job.state) ? null : Math.max(life, control.at ?? 0) + settings.abandon_after_ms
    case 'retention': return isTerminal(job.state) ? job.wait_until ?? since + settings.retention_ms : null
  }
}

/** The timer that comes next; null when none is armed. */
export function nextTimer (job: Job, settings: ModelSettings): { timer: TimerName, at: number } | null {
  let next: { timer: TimerName, at: number } | null = null
  for (const timer of TIMERS) {
    const at = due(timer, job, settings)
    if (at !== null && (next === null || at < next.at)) next = { timer, at }
  }
  return next
}

/** What a timer other than the retention does. */
export function fireTimer (timer: Exclude<TimerName, 'retention'>, job: Job, cause: Cause): void {
  const settle = job.state === 'canceling' ? 'canceled' : 'paused'
  const { wall: ts, cid } = cause
  switch (timer) {
    case 'deadline':
      job.deadline_exceeded = true
      cause.log({ letter: 'D', ts, cid })
      cause.changed()
      if (job.registration.fail_on_deadline) move(job, 'failed', cause, { reason: 'deadline_exceeded' })
      break
    case 'settle':
      move(job, settle, cause, { reason: 'items_settled' })
      break
    case 'control':
      move(job, settle, cause, { reason: 'control_timeout', forced: true })
      break
    case 'retry':
      clearRateLimit(job, cause)
      break
    case 'stall':
      job.stalled = true
      cause.log({ letter: 'T', ts, cid })
      cause.changed()
      break
    case 'abandon':
      move(job, 'failed', cause, { reason: 'abandoned' })
  }
}
